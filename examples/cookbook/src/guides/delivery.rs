//! `docs/delivery.md`.

use citizenk::prelude::*;

/// An order.
#[citizenk::message]
#[derive(Clone)]
pub struct Order {
    /// Its number.
    pub id: u64,
    /// Cents.
    pub price: u64,
}

/// What a customer has to pay.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Invoice {
    /// The order's number.
    pub order: u64,
    /// Cents.
    pub total: u64,
}

/// All orders.
pub const ORDERS: Topic<Order, u64> = Topic::json("orders");
/// All invoices.
pub const INVOICES: Topic<Invoice, u64> = Topic::json("invoices");

// [exactly_once]
/// Never two invoices for one order, whatever fails in between.
#[citizenk::agent(topics = [ORDERS], output = INVOICES, guarantee = exactly_once)]
pub async fn invoice(order: Event<Order>) -> Invoice {
    Invoice {
        order: order.value.id,
        total: order.value.price * 119 / 100,
    }
}
// [/exactly_once]

/// The service.
pub fn app() -> App {
    App::new("billing").register::<invoice>()
}

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_order_gets_one_invoice() -> Result<(), citizenk::RunError> {
        let mut app = TestApp::new(app()).start().await?;
        app.topic(&ORDERS).push(&7, Order { id: 7, price: 1000 });
        app.settle().await;
        let sent = app.topic(&INVOICES).sent();
        assert_eq!(sent.len(), 1);
        assert_eq!(
            sent[0].value,
            Some(Invoice {
                order: 7,
                total: 1190
            })
        );
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 1);
        app.restart().await?;
        app.settle().await;
        assert_eq!(app.topic(&INVOICES).sent().len(), 1);
        app.stop().await
    }
}
