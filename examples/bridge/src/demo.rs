//! Something to copy, for who has no clusters at hand.

use std::sync::atomic::{AtomicU64, Ordering};

use citizenk::prelude::*;

use crate::Options;

/// A made-up order.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// Where it comes from.
    pub country: String,
    /// What it costs.
    pub amount: u64,
}

/// Made-up orders on the cluster `left`.
pub const ORDERS: Topic<Order, u64> = Topic::json("orders").cluster("left");
/// Where they may be copied to, on the cluster `right`.
pub const COPIES: Topic<Order, u64> = Topic::json("orders").cluster("right");

const COUNTRIES: [&str; 4] = ["IT", "DE", "FR", "ES"];

/// The order of this number.
fn order(id: u64) -> Order {
    let country = COUNTRIES[(id % 4) as usize].to_owned();
    Order {
        id,
        country,
        amount: id * 37 % 200,
    }
}

/// Makes up orders.
#[citizenk::repeat_every("1s")]
pub(crate) async fn generate(
    State(options): State<Options>,
    producer: Producer,
) -> citizenk::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let sends: Vec<_> = (0..options.rate)
        .map(|_| order(NEXT.fetch_add(1, Ordering::Relaxed)))
        .map(|order| {
            let id = order.id;
            producer.send(&ORDERS, &id, order)
        })
        .collect();
    for sent in sends {
        sent.await?;
    }
    Ok(())
}
