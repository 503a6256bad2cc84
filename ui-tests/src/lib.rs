//! What the cases in `tests/ui` share, so that each of them shows its one mistake and little else.

pub mod strict;

pub use citizenk::http::{Json, Path, Query};
pub use citizenk::prelude::*;

/// Something to handle.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Its number.
    pub id: u32,
}

/// Something else.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Refund {
    /// Its number.
    pub id: u32,
}

/// Something to send.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its number.
    pub id: u32,
}

impl From<Refund> for Order {
    fn from(refund: Refund) -> Self {
        Self { id: refund.id }
    }
}

/// Orders.
pub const ORDERS: Topic<Order> = Topic::json("orders");
/// Refunds.
pub const REFUNDS: Topic<Refund> = Topic::json("refunds");
/// Alerts.
pub const ALERTS: Topic<Alert> = Topic::json("alerts");
/// What could not be handled.
pub const DLQ: Topic<RawBytes> = Topic::raw("orders.dlq");
