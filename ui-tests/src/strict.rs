//! Handlers of a library, under lints that a library may deny: generated code must pass them too.

#![deny(missing_docs, unreachable_pub, unused, clippy::all, clippy::pedantic)]
#![allow(
    clippy::unused_async,
    reason = "handlers are asynchronous whatever they do"
)]

use crate::{ALERTS, Alert, Batch, Event, Json, ORDERS, Order, Outbox, Path};

/// Handles orders.
///
/// # Errors
/// When too many alerts are staged.
#[citizenk::agent(topics = [ORDERS], batch_size = 2, sends = [ALERTS], on_error = skip)]
pub async fn orders(orders: Batch<Event<Order>>, out: Outbox) -> citizenk::Result<()> {
    for order in &orders {
        let alert = Alert { id: order.value.id };
        out.record(&ALERTS).send(alert)?;
    }
    Ok(())
}

/// Answers.
#[citizenk::route(get = "/orders/{id}")]
pub async fn order(Path(id): Path<u32>) -> Json<Order> {
    Json(Order { id })
}

/// Reports.
#[citizenk::repeat_every("5s")]
pub async fn report() {}

/// Bills.
#[citizenk::module(on_error = skip)]
pub mod billing {
    /// Starts.
    #[citizenk::on_event(startup)]
    pub async fn starting() {}
}
