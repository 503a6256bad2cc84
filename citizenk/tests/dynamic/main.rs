//! Agents that come and go while the app runs, on the in-memory log.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use citizenk::{
    Agent, AgentDef, AgentState, Agents, AgentsError, Guarantee, Policy, RawRecords, ReadFrom,
    TopicPartition,
};
use futures_util::future::join_all;
use tokio::sync::Semaphore;

mod coming;
mod positions;

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
const REFUNDS: Topic<Order, u32> = Topic::json("refunds");
const TARGET: Topic<RawBytes> = Topic::raw("target");

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// What came since the last look, sorted: partitions have no order among them.
    fn take(&self) -> Vec<String> {
        let mut seen = std::mem::take(&mut *self.0.lock().unwrap());
        seen.sort();
        seen
    }
}

fn reader(name: &str, topics: &[&str], seen: &Seen) -> citizenk::AgentDef {
    gated(
        name,
        topics,
        seen,
        &Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
    )
}

/// Each call takes a permit.
fn gated(name: &str, topics: &[&str], seen: &Seen, gate: &Arc<Semaphore>) -> AgentDef {
    let (say, seen, gate) = (name.to_owned(), seen.clone(), gate.clone());
    builder(name, topics).handle(move |order: Event<Order>, _| {
        let (say, seen, gate) = (say.clone(), seen.clone(), gate.clone());
        async move {
            gate.acquire().await.unwrap().forget();
            seen.say(format!("{say} {}", order.value.id));
        }
    })
}

type Builder = citizenk::AgentBuilder<Order, citizenk::extract::SingleEvent>;

fn builder(name: &str, topics: &[&str]) -> Builder {
    Agent::builder::<Event<Order>>(name).topics(&ORDERS, topics)
}

fn said(name: &str, ids: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut all: Vec<_> = ids.into_iter().map(|id| format!("{name} {id}")).collect();
    all.sort();
    all
}

fn push(app: &TestApp, topic: &Topic<Order, u32>, ids: impl IntoIterator<Item = u32>) {
    for id in ids {
        app.topic(topic).push(&id, Order { id });
    }
}

async fn flow(app: &TestApp, topic: &Topic<Order, u32>, ids: impl IntoIterator<Item = u32>) {
    push(app, topic, ids);
    app.settle().await;
}

fn app(seen: &Seen) -> App {
    App::new("dynamic")
        .topic(&REFUNDS)
        .agent(reader("static", &["orders"], seen))
}

async fn stats(app: &TestApp) -> serde_json::Value {
    serde_json::from_str(&app.get("/stats").await.body).unwrap()
}
