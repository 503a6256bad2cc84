//! Functions called by the clock, on a clock that the test owns.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use citizenk::{Exit, RunError};

#[citizenk::message]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn say(&self, what: impl ToString) {
        self.0.lock().unwrap().push(what.to_string());
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[citizenk::repeat_at("0 6 * * *", tz = "Europe/Rome")]
async fn at_six(State(seen): State<Seen>) {
    seen.say("six");
}

#[test]
fn a_time_of_day_follows_its_zone_over_a_change_of_clocks() {
    let seen = Seen::default();
    let app = App::new("t").state(seen.clone()).register::<at_six>();
    block_on(async {
        let app = TestApp::new(app)
            // The day before Rome's clocks go forward.
            .at("2025-03-29T04:30:00Z".parse().unwrap())
            .start()
            .await
            .unwrap();
        app.advance("29m").await;
        assert_eq!(seen.len(), 0);
        app.advance("1m").await;
        assert_eq!(seen.len(), 1, "six in winter is five in UTC");
        app.advance("1379m").await;
        assert_eq!(seen.len(), 1);
        app.advance("1m").await;
        assert_eq!(seen.len(), 2, "six in summer is four in UTC");
        assert_eq!(app.now().to_rfc3339(), "2025-03-30T04:00:00+00:00");
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS])]
async fn read(_order: Event<Order>) {}

/// Which worker it is.
#[derive(Clone)]
struct Number(usize);

#[citizenk::repeat_every("1s", wait_first = true, on = one)]
async fn on_one(State(seen): State<Seen>, State(number): State<Number>) {
    seen.say(number.0);
}

#[test]
fn a_timer_on_one_worker_moves_when_that_one_stops() {
    let seen = Seen::default();
    let (shared, next) = (seen.clone(), AtomicUsize::new(0));
    let app = move || {
        App::new("t")
            .state(shared.clone())
            .state(Number(next.fetch_add(1, Ordering::Relaxed)))
            .register::<read>()
            .register::<on_one>()
    };
    block_on(async {
        let mut app = TestApp::new(app)
            .workers(2)
            .partitions(&ORDERS, 2)
            .start()
            .await
            .unwrap();
        app.advance("3s").await;
        let before = seen.0.lock().unwrap().clone();
        assert_eq!(before.len(), 3, "once a second, not once a worker");
        assert!(before.iter().all(|worker| *worker == before[0]));
        let owner = (0..2)
            .find(|worker| app.owned_by(*worker).iter().any(|own| own.partition == 0))
            .unwrap();
        app.stop_worker(owner).await.unwrap();
        app.advance("2s").await;
        let after = seen.0.lock().unwrap()[3..].to_vec();
        assert_eq!(after.len(), 2);
        assert!(after.iter().all(|worker| *worker != before[0]), "{after:?}");
        app.stop().await.unwrap();
    });
}

#[citizenk::repeat_every("1s", on_error = stop)]
async fn critical(State(seen): State<Seen>) -> citizenk::Result<()> {
    seen.say("tick");
    if seen.len() < 3 {
        return Ok(());
    }
    Err(AgentError::new("the disk is full"))
}

#[citizenk::repeat_every("1s")]
async fn tolerant() -> citizenk::Result<()> {
    Err(AgentError::new("not today"))
}

#[test]
fn an_error_of_a_timer_is_counted_or_stops_the_service() {
    let seen = Seen::default();
    let app = App::new("t")
        .state(seen.clone())
        .register::<critical>()
        .register::<tolerant>();
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        app.advance("1s").await;
        assert!(app.stopped().is_none());
        let metrics = app.get("/metrics").await.body;
        let failed = "citizenk_timer_ticks_total{timer=\"tolerant\",result=\"failed\"} 2";
        assert!(metrics.contains(failed), "{metrics}");
        app.advance("5s").await;
        assert_eq!(seen.len(), 3, "nothing after the error");
        let error = app.stop().await.unwrap_err();
        assert_eq!(Exit::from(&error), Exit::STOPPED);
        let RunError::Stopped { component, reason } = &error else {
            panic!("{error}")
        };
        assert_eq!(component, "timer `critical`");
        assert!(reason.contains("the disk is full"), "{reason}");
    });
}
