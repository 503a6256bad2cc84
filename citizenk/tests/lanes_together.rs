//! Exactly once where several agents read one topic: lanes whose batches end at different offsets.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const DONE: Topic<Order, u32> = Topic::json("done");
const THIRD: Topic<Order, u32> = Topic::json("third");

#[citizenk::agent(topics = [ORDERS], sends = [DONE], batch_size = 100, batch_timeout = "1h", guarantee = exactly_once)]
async fn in_hundreds(orders: Batch<Order>, outbox: Outbox) -> citizenk::Result<()> {
    for order in &orders {
        outbox.send(&DONE, &order.id, order.clone())?;
    }
    Ok(())
}

#[citizenk::agent(topics = [ORDERS], sends = [THIRD], batch_size = 70, batch_timeout = "1h", guarantee = exactly_once)]
async fn in_seventies(orders: Batch<Order>, outbox: Outbox) -> citizenk::Result<()> {
    for order in &orders {
        outbox.send(&THIRD, &order.id, order.clone())?;
    }
    Ok(())
}

/// Fills its ledger before a batch of a hundred is done.
#[citizenk::agent(topics = [ORDERS], sends = [THIRD], concurrency = 4, guarantee = exactly_once)]
async fn four_at_once(order: Event<Order>, outbox: Outbox) -> citizenk::Result<()> {
    for _ in 0..COPIES {
        outbox.send(&THIRD, &order.value.id, order.value.clone())?;
    }
    Ok(())
}

const COPIES: usize = 150;

/// A transaction takes what lies between the spans of all lanes: beside one in hundreds, another agent sends so many
/// `copies` of each of so many orders, which come in chunks of about so many.
fn meet(beside: fn(App) -> App, count: u32, copies: usize, chunk: u32) {
    block_on(async {
        let app = TestApp::new(move || beside(App::new("g").register::<in_hundreds>()))
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in 0..count {
            app.topic(&ORDERS).push(&id, Order { id });
            if id % chunk == 0 {
                app.advance("1ms").await;
            }
        }
        app.advance("1s").await;
        let committed = app.committed(&ORDERS)[&0];
        assert!(committed >= i64::from(count - 100), "{committed} committed");
        // What is left waits for its batch.
        app.advance("2h").await;
        assert_eq!(app.committed(&ORDERS)[&0], i64::from(count));
        for (topic, copies) in [(&DONE, 1), (&THIRD, copies)] {
            let sent = app.topic(topic).sent();
            assert_eq!(sent.len(), count as usize * copies);
            let ids = sent.into_iter().filter_map(|sent| Some(sent.value?.id));
            assert_eq!(BTreeSet::from_iter(ids), BTreeSet::from_iter(0..count));
        }
        app.stop().await.unwrap();
    });
}

#[test]
fn with_exactly_once_batches_that_never_end_together_are_committed() {
    meet(App::register::<in_seventies>, 12_005, 1, 997);
}

#[test]
fn with_exactly_once_batches_are_committed_beside_concurrent_calls() {
    for chunk in [1_000, 97, 30] {
        meet(App::register::<four_at_once>, 205, COPIES, chunk);
    }
}
