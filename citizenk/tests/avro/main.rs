//! Messages in Avro and in JSON: names, defaults, logical types, evolution, hostile bytes.

#![allow(clippy::unwrap_used, reason = "tests")]

mod topics;
mod values;

use std::collections::{BTreeMap, HashMap};

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use citizenk::DecodeError;
use citizenk::avro::{AsString, AvroCodec, Decimal, Micros};
use citizenk::prelude::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A ride.
#[citizenk::message(avro(namespace = "city", alias = "Trip"))]
#[derive(Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Ride {
    /// Where it began.
    pickup_zone: u32,
    #[serde(alias = "cost")]
    fare: f64,
    note: Option<String>,
    #[serde(default = "one")]
    passengers: i32,
    kind: Kind,
    tags: Vec<String>,
    counts: BTreeMap<String, i64>,
    stops: Vec<Stop>,
    payment: Payment,
    #[serde(skip)]
    cache: u8,
}

fn one() -> i32 {
    1
}

#[citizenk::message(avro)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    #[default]
    Street,
    PreBooked,
    #[avro(default)]
    Other,
}

#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
struct Stop {
    zone: u16,
    next: Option<Box<Stop>>,
}

#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
#[serde(tag = "by")]
enum Payment {
    Cash { tip: Option<f32> },
    Card(Card),
    Free,
}

#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
struct Card {
    number: String,
}

fn ride() -> Ride {
    Ride {
        pickup_zone: 4_000_000_000,
        fare: 12.5,
        note: Some("late".to_owned()),
        passengers: 2,
        kind: Kind::PreBooked,
        tags: vec!["a".to_owned(), String::new()],
        counts: BTreeMap::from([("n".to_owned(), -1)]),
        stops: vec![Stop {
            zone: 1,
            next: Some(Box::new(Stop {
                zone: 2,
                next: None,
            })),
        }],
        payment: Payment::Card(Card {
            number: "4".to_owned(),
        }),
        cache: 0,
    }
}

fn bytes<T: citizenk::avro::AvroType>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    AvroCodec::<T>::new()
        .unwrap()
        .write(value, &mut out)
        .unwrap();
    out
}

fn schema<T: citizenk::avro::AvroType>() -> Value {
    serde_json::from_str(AvroCodec::<T>::new().unwrap().schema().json()).unwrap()
}

#[test]
fn the_schema_says_what_the_type_and_serde_say() {
    let stop = json!({
        "type": "record", "name": "Stop", "namespace": "city", "fields": [
            { "name": "zone", "type": "int" },
            { "name": "next", "type": ["null", "city.Stop"], "default": null },
        ],
    });
    let expected = json!({
        "type": "record", "name": "Ride", "namespace": "city", "doc": "A ride.", "aliases": ["Trip"],
        "fields": [
            { "name": "pickupZone", "type": "long", "doc": "Where it began." },
            { "name": "fare", "type": "double", "aliases": ["cost"] },
            { "name": "note", "type": ["null", "string"], "default": null },
            { "name": "passengers", "type": "int", "default": 1 },
            { "name": "kind", "type": {
                "type": "enum", "name": "Kind", "namespace": "city",
                "symbols": ["STREET", "PRE_BOOKED", "OTHER"], "default": "OTHER",
            } },
            { "name": "tags", "type": { "type": "array", "items": "string" } },
            { "name": "counts", "type": { "type": "map", "values": "long" } },
            { "name": "stops", "type": { "type": "array", "items": stop } },
            { "name": "payment", "type": [
                { "type": "record", "name": "Cash", "namespace": "city", "fields": [
                    { "name": "tip", "type": ["null", "float"], "default": null },
                ] },
                { "type": "record", "name": "Card", "namespace": "city", "fields": [
                    { "name": "number", "type": "string" },
                ] },
                { "type": "record", "name": "Free", "namespace": "city", "fields": [] },
            ] },
        ],
    });
    assert_eq!(schema::<Ride>(), expected);
}

#[test]
fn a_value_comes_back_and_json_is_what_it_was() {
    let codec = AvroCodec::<Ride>::new().unwrap();
    for payment in [
        Payment::Free,
        Payment::Cash { tip: Some(0.5) },
        ride().payment,
    ] {
        let ride = Ride { payment, ..ride() };
        assert_eq!(codec.read(&bytes(&ride)).unwrap(), ride);
        let text = serde_json::to_string(&ride).unwrap();
        assert_eq!(serde_json::from_str::<Ride>(&text).unwrap(), ride);
    }
    let json = serde_json::to_value(ride()).unwrap();
    assert_eq!(json["kind"], "PRE_BOOKED");
    assert_eq!(json["payment"], json!({ "by": "Card", "number": "4" }));
}

// [logical]
#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
struct Logical {
    at: DateTime<Utc>,
    #[avro(with = Micros)]
    exactly: DateTime<Utc>,
    #[avro(with = Option<Micros>)]
    perhaps: Option<DateTime<Utc>>,
    history: Vec<DateTime<Utc>>,
    local: NaiveDateTime,
    day: NaiveDate,
    time: NaiveTime,
    #[avro(with = Micros)]
    fine: NaiveTime,
    id: uuid::Uuid,
    #[avro(with = Decimal<10, 2>)]
    price: rust_decimal::Decimal,
    #[avro(with = AsString)]
    address: std::net::IpAddr,
    bytes: Vec<u8>,
    hash: [u8; 4],
}
// [/logical]

fn logical() -> Logical {
    let at: DateTime<Utc> = "2026-02-03T04:05:06.789Z".parse().unwrap();
    let exactly: DateTime<Utc> = "1969-12-31T23:59:59.999999Z".parse().unwrap();
    Logical {
        at,
        exactly,
        perhaps: Some(exactly),
        history: vec![at],
        local: at.naive_utc(),
        day: "1969-12-31".parse().unwrap(),
        time: "23:59:59.999".parse().unwrap(),
        fine: "23:59:59.999999".parse().unwrap(),
        id: "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap(),
        price: "-1234.50".parse().unwrap(),
        address: "::1".parse().unwrap(),
        bytes: vec![0, 255],
        hash: [1, 2, 3, 4],
    }
}

#[test]
fn every_logical_type_comes_back_in_both_formats() {
    let value = logical();
    let codec = AvroCodec::<Logical>::new().unwrap();
    assert_eq!(codec.read(&bytes(&value)).unwrap(), value);
    let json = serde_json::to_value(&value).unwrap();
    assert_eq!(json["at"], "2026-02-03T04:05:06.789Z");
    assert_eq!(json["price"], "-1234.50");
    assert_eq!(serde_json::from_value::<Logical>(json).unwrap(), value);

    let schema = schema::<Logical>();
    let types: HashMap<&str, &Value> = schema["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| (field["name"].as_str().unwrap(), &field["type"]))
        .collect();
    let long = |logical: &str| json!({ "type": "long", "logicalType": logical });
    assert_eq!(*types["at"], long("timestamp-millis"));
    assert_eq!(*types["exactly"], long("timestamp-micros"));
    assert_eq!(*types["perhaps"], json!(["null", long("timestamp-micros")]));
    assert_eq!(*types["local"], long("local-timestamp-millis"));
    assert_eq!(
        *types["day"],
        json!({ "type": "int", "logicalType": "date" })
    );
    assert_eq!(
        *types["time"],
        json!({ "type": "int", "logicalType": "time-millis" })
    );
    assert_eq!(*types["fine"], long("time-micros"));
    assert_eq!(
        *types["id"],
        json!({ "type": "string", "logicalType": "uuid" })
    );
    assert_eq!(
        *types["price"],
        json!({ "type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2 })
    );
    assert_eq!(*types["bytes"], "bytes");
    assert_eq!(
        *types["hash"],
        json!({ "type": "fixed", "name": "Fixed4", "size": 4 })
    );
}

#[test]
fn bytes_are_those_of_the_specification() {
    #[citizenk::message(avro)]
    struct Small {
        at: DateTime<Utc>,
        name: String,
        #[avro(with = Decimal<4, 2>)]
        price: rust_decimal::Decimal,
        maybe: Option<i32>,
    }
    let small = Small {
        at: DateTime::from_timestamp_millis(64).unwrap(),
        name: "ab".to_owned(),
        price: "1.28".parse().unwrap(),
        maybe: Some(-1),
    };
    // 64 zigzag, length and text, two bytes of decimal because 0x80 alone is negative, branch 1 and -1.
    assert_eq!(
        bytes(&small),
        [0x80, 0x01, 4, b'a', b'b', 4, 0x00, 0x80, 2, 1]
    );
}

#[test]
fn what_a_number_cannot_say_is_an_error_and_leaves_nothing_behind() {
    #[citizenk::message(avro)]
    struct Wide {
        name: String,
        id: u64,
    }
    let codec = AvroCodec::<Wide>::new().unwrap();
    let mut out = b"x".to_vec();
    let wide = Wide {
        name: "n".to_owned(),
        id: u64::MAX,
    };
    let error = codec.write(&wide, &mut out).unwrap_err().to_string();
    assert!(error.contains("beyond the largest Avro long"), "{error}");
    assert_eq!(out, b"x");
}

#[citizenk::message(avro)]
#[derive(Debug, PartialEq)]
struct Order {
    id: i64,
    amount: f64,
    text: String,
    #[serde(alias = "buyer")]
    customer: Option<String>,
    kind: Kind,
    #[serde(default)]
    lines: Vec<i32>,
}

fn old_order(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "orders_value", "fields": [{fields}]}}"#)
}

#[test]
fn what_an_older_schema_wrote_is_read() {
    let kind =
        r#"{"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["GONE", "STREET"]}}"#;
    let writer = old_order(&format!(
        r#"{{"name": "id", "type": "int"}}, {{"name": "removed", "type": {{"type": "array", "items": "string"}}}},
           {{"name": "amount", "type": "int"}}, {{"name": "text", "type": "bytes"}},
           {{"name": "buyer", "type": "string"}}, {kind}"#
    ));
    let codec = AvroCodec::<Order>::new().unwrap();
    let reader = codec.reader(&writer).unwrap();
    // id 3; one item "x"; amount 5; text "t"; buyer "b"; symbol 0.
    let order = reader
        .read(&[6, 2, 2, b'x', 0, 10, 2, b't', 2, b'b', 0])
        .unwrap();
    let expected = Order {
        id: 3,
        amount: 5.0,
        text: "t".to_owned(),
        customer: Some("b".to_owned()),
        kind: Kind::Other,
        lines: Vec::new(),
    };
    assert_eq!(order, expected);
    let order = reader.read(&[6, 0, 10, 2, b't', 2, b'b', 2]).unwrap();
    assert_eq!(order.kind, Kind::Street);
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_read() {
    let codec = AvroCodec::<Order>::new().unwrap();
    let kind = r#"{"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["STREET"]}}"#;
    let cases = [
        (
            format!(
                r#"{{"name": "id", "type": "string"}}, {{"name": "amount", "type": "double"}}, {{"name": "text", "type": "string"}}, {kind}"#
            ),
            "field `id`: was written as string and cannot be read as long",
        ),
        (
            format!(
                r#"{{"name": "id", "type": "long"}}, {{"name": "text", "type": "string"}}, {kind}"#
            ),
            "field `amount`: is not in what was written, and has no default",
        ),
        (
            format!(
                r#"{{"name": "id", "type": ["null", "long"]}}, {{"name": "amount", "type": "double"}}, {{"name": "text", "type": "string"}}, {kind}"#
            ),
            "field `id`: was written as null and cannot be read as long",
        ),
    ];
    for (fields, expected) in cases {
        let error = codec.reader(&old_order(&fields)).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    #[citizenk::message(avro)]
    struct At {
        at: DateTime<Utc>,
    }
    let micros =
        old_order(r#"{"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}"#);
    let error = AvroCodec::<At>::new().unwrap().reader(&micros).unwrap_err();
    assert!(
        error.contains("timestamp-micros") && error.contains("field `at`"),
        "{error}"
    );
    let nulls = old_order(r#"{"name": "many", "type": {"type": "array", "items": "null"}}"#);
    let error = AvroCodec::<At>::new().unwrap().reader(&nulls).unwrap_err();
    assert!(error.contains("take no bytes"), "{error}");
}

#[test]
fn types_that_share_a_name_and_names_that_are_none_are_named() {
    mod other {
        #[citizenk::message(avro)]
        pub(super) struct Card {
            pub(super) id: i32,
        }
    }
    #[citizenk::message(avro)]
    struct Two {
        one: Card,
        two: other::Card,
    }
    let error = AvroCodec::<Two>::new().unwrap_err();
    assert!(
        error.contains("field `two`: two types are called `Card`"),
        "{error}"
    );

    #[citizenk::message(avro)]
    struct Nested {
        inner: Option<Option<i32>>,
    }
    let error = AvroCodec::<Nested>::new().unwrap_err();
    assert!(error.contains("inner"), "{error}");
}

fn field_of(error: &DecodeError) -> Option<&str> {
    error.field()
}

#[test]
fn an_error_names_the_field() {
    #[citizenk::message(avro)]
    #[derive(Debug)]
    struct Outer {
        inner: Vec<Inner>,
    }
    #[citizenk::message(avro)]
    #[derive(Debug)]
    struct Inner {
        small: u8,
    }
    let codec = AvroCodec::<Outer>::new().unwrap();
    // One item, 300.
    let error = codec.read(&[2, 0xd8, 0x04, 0]).unwrap_err();
    assert_eq!(field_of(&error), Some("inner.small"), "{error}");
    let error = codec.read(&[0, 0]).unwrap_err().to_string();
    assert!(error.contains("1 bytes are left behind"), "{error}");
}

proptest! {
    #[test]
    fn any_value_comes_back(
        zone: u32, fare in -1e9..1e9_f64, note: Option<String>, passengers: i32, tags: Vec<String>,
        counts in proptest::collection::btree_map(".{0,5}", any::<i64>(), 0..5), zones: Vec<u16>, tip: Option<f32>,
    ) {
        prop_assume!(tip.is_none_or(|tip| !tip.is_nan()));
        let stops = zones.into_iter().map(|zone| Stop { zone, next: None }).collect();
        let ride = Ride {
            pickup_zone: zone, fare, note, passengers, kind: Kind::Street, tags, counts, stops,
            payment: Payment::Cash { tip }, cache: 0,
        };
        let codec = AvroCodec::<Ride>::new().unwrap();
        prop_assert_eq!(codec.read(&bytes(&ride)).unwrap(), ride);
    }

    #[test]
    fn any_time_and_decimal_comes_back(millis in -62_000_000_000_000..200_000_000_000_000_i64, cents in -9_999_999_999..9_999_999_999_i64) {
        let at = DateTime::from_timestamp_millis(millis).unwrap();
        let value = Logical { at, price: rust_decimal::Decimal::new(cents, 2), ..logical() };
        let codec = AvroCodec::<Logical>::new().unwrap();
        prop_assert_eq!(codec.read(&bytes(&value)).unwrap(), value);
    }
}
