// Generated code needs nothing in scope, and minds nothing that is.
#![no_implicit_prelude]

mod core {}
mod std {}
mod citizenk {}
#[allow(dead_code)]
struct Result;
#[allow(dead_code)]
struct Send;

use ::ui_tests::{ALERTS, Alert, Batch, Event, Json, ORDERS, Order, Outbox, Partitions, Path};

#[::citizenk::agent(topics = [ORDERS], batch_size = 2, on_error = retry(2, then = skip))]
async fn orders(orders: Batch<Order>, out: Outbox) -> ::citizenk::Result<()> {
    ::core::mem::drop((orders, out));
    ::core::result::Result::Ok(())
}

#[::citizenk::agent(topics = [ORDERS], output = ALERTS)]
async fn alerts(order: Event<Order>) -> Alert {
    Alert { id: order.value.id }
}

#[::citizenk::route(get = "/orders/{id}", tag = "orders")]
async fn route(Path(id): Path<u32>) -> Json<Order> {
    Json(Order { id })
}

#[::citizenk::repeat_at("0 6 * * *", tz = "Europe/Rome")]
async fn daily() {}

#[::citizenk::on_event(revoked)]
async fn left(partitions: Partitions) {
    ::core::mem::drop(partitions);
}

#[::citizenk::module(on_error = skip)]
mod inner {}

#[::core::prelude::v1::test]
fn they_register() {
    let _ = ::citizenk::App::new("test")
        .register::<orders>()
        .register::<alerts>()
        .register::<route>()
        .register::<daily>()
        .register::<left>()
        .include(inner::module());
}
