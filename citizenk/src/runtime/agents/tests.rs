//! What starts ask their cluster, on the in-memory log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::prelude::*;
use crate::testing::{TestApp, block_on};
use crate::{Agent, AgentDef, AgentHandle, ReadFrom};

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

/// Two workers, of which the first reads nothing for now; a rebalance is under way that waits for its call to end.
async fn dealing(seen: &Seen, gate: &Arc<Semaphore>) -> TestApp {
    let (say, waits) = (seen.clone(), gate.clone());
    let app = move || {
        let first = reader("first", &ORDERS, &say, &waits);
        App::new("deals")
            .drain(Duration::from_secs(30))
            .topic(&REFUNDS)
            .agent(first)
    };
    let app = TestApp::new(app)
        .workers(2)
        .partitions(&ORDERS, 2)
        .partitions(&REFUNDS, 1)
        .start()
        .await
        .unwrap();
    push(&app, &ORDERS, 0..1);
    push(&app, &REFUNDS, 10..20);
    app.settle().await;
    app.rebalance().await;
    app
}

fn start(
    app: &TestApp,
    seen: &Seen,
) -> tokio::task::JoinHandle<Result<AgentHandle, crate::AgentsError>> {
    let (agents, late) = (app.agents(), reader("late", &REFUNDS, seen, &open()));
    tokio::spawn(async move { agents.start_from(late, ReadFrom::Latest).await })
}

#[test]
fn a_start_waits_for_a_group_that_deals_its_partitions() {
    block_on(async {
        let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
        let app = dealing(&seen, &gate).await;
        let starting = start(&app, &seen);
        app.advance("9s").await;
        assert!(app.agents().get("late").is_none(), "who reads is not known");
        gate.add_permits(100);
        app.advance("1s").await;
        assert!(app.agents().get("late").is_some());
        starting.await.unwrap().unwrap();
        push(&app, &REFUNDS, 20..22);
        app.settle().await;
        assert_eq!(*seen.lock().unwrap(), [0, 20, 21]);
        app.stop().await.unwrap();
    });
}

/// The log is that of the command line.
#[cfg(feature = "cli")]
mod logged {
    use std::io::Write;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_start_does_not_wait_for_ever_for_a_group_that_deals_its_partitions() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        let _listening = tracing::subscriber::set_default(subscriber);
        block_on(async {
            let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
            let app = dealing(&seen, &gate).await;
            let starting = start(&app, &seen);
            app.advance("9s").await;
            assert!(app.agents().get("late").is_none());
            app.advance("2s").await;
            assert!(app.agents().get("late").is_some(), "it begins all the same");
            let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            let line = said.lines().find(|line| line.contains("still deals"));
            let line = line.expect("a warning");
            for part in ["WARN", "agent=\"late\"", "group=\"deals\"", "after=10s"] {
                assert!(line.contains(part), "{part}: {line}");
            }
            gate.add_permits(100);
            app.settle().await;
            starting.await.unwrap().unwrap();
            app.stop().await.unwrap();
        });
    }
}
