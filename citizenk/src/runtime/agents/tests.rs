//! What starts ask their cluster, on the in-memory log.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::prelude::*;
use crate::testing::{TestApp, block_on};
use crate::{Agent, AgentDef, ReadFrom};

const ORDERS: Topic<u32> = Topic::json("orders");
const REFUNDS: Topic<u32> = Topic::json("refunds");

type Seen = Arc<Mutex<Vec<u32>>>;

/// Each call takes a permit.
fn reader(name: &str, topic: &Topic<u32>, seen: &Seen, gate: &Arc<Semaphore>) -> AgentDef {
    let (seen, gate) = (seen.clone(), gate.clone());
    Agent::builder::<Event<u32>>(name)
        .topic(topic)
        .handle(move |event: Event<u32>, _: Outbox| {
            let (seen, gate) = (seen.clone(), gate.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                seen.lock().unwrap().push(event.value);
            }
        })
}

fn open() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}

fn push(app: &TestApp, topic: &Topic<u32>, values: std::ops::Range<u32>) {
    for value in values {
        app.topic(topic).push(&"k".to_owned(), value);
    }
}

#[test]
fn agents_that_start_at_once_ask_together() {
    const AGENTS: usize = 200;
    block_on(async {
        let seen = Seen::default();
        let names: Vec<String> = (0..AGENTS).map(|n| format!("topic-{n}")).collect();
        let topics: Vec<Topic<u32>> = names.iter().map(|name| ORDERS.named(name)).collect();
        let app = App::new("many").agent(reader("first", &ORDERS, &seen, &open()));
        let app = topics.iter().fold(app, |app, topic| app.topic(topic));
        let app = TestApp::new(app).start().await.unwrap();
        for topic in &topics {
            push(&app, topic, 0..1);
        }
        let asked = |what| app.memory().asked(what);
        for what in ["topics", "offsets", "describing a group", "member id"] {
            asked(what);
        }
        let starts = topics.iter().enumerate().map(|(n, topic)| {
            let agent = reader(&format!("agent-{n}"), topic, &seen, &open());
            let agents = app.agents();
            async move { agents.start_from(agent, ReadFrom::Latest).await }
        });
        for started in join_all(starts).await {
            started.unwrap();
        }
        for what in ["topics", "offsets", "describing a group", "member id"] {
            let asked = asked(what).len();
            assert!((1..=4).contains(&asked), "{what}: {asked} times");
        }
        for topic in &topics {
            push(&app, topic, 1..2);
        }
        app.settle().await;
        assert_eq!(*seen.lock().unwrap(), [1; AGENTS], "each began at its end");
        app.stop().await.unwrap();
    });
}

#[test]
fn a_start_asks_its_clients_on_a_thread_that_may_block() {
    block_on(async {
        let seen = Seen::default();
        let app = App::new("one").agent(reader("first", &ORDERS, &seen, &open()));
        let app = TestApp::new(app.topic(&REFUNDS)).start().await.unwrap();
        let late = reader("late", &REFUNDS, &seen, &open());
        let started = app.agents().start_from(late, ReadFrom::Latest).await;
        started.unwrap();
        let here = std::thread::current().id();
        for what in ["topics", "offsets", "member id"] {
            let threads = app.memory().asked(what);
            assert!(!threads.is_empty(), "{what}");
            assert!(!threads.contains(&here), "{what}");
        }
        app.stop().await.unwrap();
    });
}
