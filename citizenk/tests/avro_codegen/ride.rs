// Written by `schemas codegen` from an Avro schema.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use citizenk::avro::{Decimal, Micros};
use citizenk::prelude::{DateTime, Utc};

/// A ride.
/// Of one taxi.
#[citizenk::message(avro(namespace = "city", alias = "Trip"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Ride {
    /// Where it began.
    #[serde(rename = "pickupZone")]
    pub pickup_zone: i32,
    #[serde(alias = "cost")]
    pub fare: f64,
    pub r#type: Option<String>,
    #[serde(default = "ride_passengers")]
    pub passengers: i32,
    #[serde(default)]
    pub loud: bool,
    #[serde(default = "ride_currency")]
    pub currency: Option<String>,
    #[serde(default = "ride_kind")]
    pub kind: RideKind,
    pub before: Option<RideKind>,
    #[serde(default = "ride_tags")]
    pub tags: Vec<String>,
    #[serde(default)]
    pub counts: BTreeMap<String, i64>,
    pub stops: Vec<Stop>,
    pub payment: Option<RidePayment>,
    pub at: DateTime<Utc>,
    #[avro(with = Option<Micros>)]
    pub exactly: Option<DateTime<Utc>>,
    pub day: NaiveDate,
    pub opens: NaiveTime,
    pub local: NaiveDateTime,
    pub id: uuid::Uuid,
    #[avro(with = Decimal<10, 2>)]
    pub price: rust_decimal::Decimal,
    pub raw: Vec<u8>,
    pub hash: [u8; 4],
}

/// How it was found.
#[citizenk::message(avro(name = "ride_kind", namespace = "city"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RideKind {
    #[serde(rename = "STREET")]
    Street,
    #[serde(rename = "PRE_BOOKED")]
    PreBooked,
    #[avro(default)]
    Other,
}

#[citizenk::message(avro(namespace = "city.map"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    pub zone: i32,
    pub next: Option<Box<Stop>>,
}

#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
pub enum RidePayment {
    Cash(Cash),
    Card(Card),
}

#[citizenk::message(avro(namespace = "city"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Cash {
    pub tip: f32,
}

#[citizenk::message(avro(namespace = "city"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub number: String,
}

fn ride_passengers() -> i32 {
    1
}

fn ride_currency() -> Option<String> {
    Some("EUR".to_owned())
}

fn ride_kind() -> RideKind {
    RideKind::PreBooked
}

fn ride_tags() -> Vec<String> {
    vec!["new".to_owned(), "x\"y".to_owned()]
}
