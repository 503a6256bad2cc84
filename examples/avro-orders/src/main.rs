//! Orders in Avro, totals in JSON Schema, and an incompatible change that breaks no reader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use citizenk::avro::Decimal;
use citizenk::prelude::*;

/// An order, as it is now.
#[citizenk::message(avro(namespace = "shop"))]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: i64,
    customer: String,
    /// In euros.
    #[avro(with = Decimal<12, 2>)]
    amount: rust_decimal::Decimal,
    placed: DateTime<Utc>,
    /// Orders written before there were notes have none.
    note: Option<String>,
}

// [down]
/// An order as the first version had it: a float is no decimal, so no reader of one can read the other.
#[citizenk::message(avro(name = "Order", namespace = "shop"))]
#[derive(Clone, Debug, PartialEq)]
struct OrderV1 {
    id: i64,
    customer: String,
    amount: f64,
}

impl From<&Order> for OrderV1 {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id,
            customer: order.customer.clone(),
            amount: order.amount.try_into().unwrap_or(f64::NAN),
        }
    }
}

const ORDERS: Topic<Order, i64> = Topic::avro("orders.v2");
/// For readers that know only the first version.
const ORDERS_V1: Topic<OrderV1, i64> = Topic::avro("orders");

#[citizenk::agent(topics = [ORDERS], output = ORDERS_V1)]
async fn convert_down(order: Event<Order>) -> OrderV1 {
    OrderV1::from(&order.value)
}
// [/down]

/// What a customer has spent.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Total {
    customer: String,
    orders: u32,
    amount: rust_decimal::Decimal,
}

const TOTALS: Topic<Total> = Topic::json_schema("totals");

/// In memory: counted anew by each process.
#[derive(Clone, Default)]
struct Totals(Arc<Mutex<HashMap<String, Total>>>);

#[citizenk::agent(topics = [ORDERS], sends = [TOTALS], group = "totals")]
async fn add_up(
    order: Event<Order>,
    State(totals): State<Totals>,
    out: Outbox,
) -> citizenk::Result<()> {
    let order = &order.value;
    let total = {
        let mut totals = totals.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total = totals
            .entry(order.customer.clone())
            .or_insert_with(|| Total {
                customer: order.customer.clone(),
                orders: 0,
                amount: Default::default(),
            });
        total.orders += 1;
        total.amount += order.amount;
        total.clone()
    };
    println!(
        "{} has spent {} EUR in {} orders",
        total.customer, total.amount, total.orders
    );
    out.send(&TOTALS, &order.customer, total)?;
    Ok(())
}

/// Someone orders something every second.
#[citizenk::repeat_every("1s", sends = [ORDERS])]
async fn order(clock: Clock, out: Outbox) -> citizenk::Result<()> {
    let placed = clock.now();
    let id = placed.timestamp_millis();
    let customer = ["Ada", "Grace", "Lin"][(id / 1000 % 3).unsigned_abs() as usize];
    let order = Order {
        id,
        customer: customer.to_owned(),
        amount: rust_decimal::Decimal::new(500 + id % 1000, 2),
        placed,
        note: (id % 2 == 0).then(|| "as a gift".to_owned()),
    };
    out.send(&ORDERS, &id, order)?;
    Ok(())
}

fn app() -> App {
    App::new("avro-orders")
        .state(Totals::default())
        .register::<order>()
        .register::<convert_down>()
        .register::<add_up>()
        .embedded_by_default()
}

fn main() -> citizenk::Exit {
    citizenk::run(app())
}

#[cfg(test)]
mod tests;
