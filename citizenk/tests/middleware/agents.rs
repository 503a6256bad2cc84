//! Around calls of agents: each attempt, batches, keys, blocking calls, and records posted to an agent.

use super::*;

/// Refuses 13 and turns what 7 fails with into something to skip.
async fn judge(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    match call.key() {
        Some(b"13") => Err(AgentError::dead_letter("thirteen is refused")),
        Some(b"7") => next
            .run()
            .await
            .map_err(|error| AgentError::skip(format!("not so bad: {error}"))),
        _ => next.run().await,
    }
}

#[citizenk::agent(topics = [ORDERS], output = DONE, wrap = [scoped, inner],
                  on_error = retry(1, backoff = "1s..1s", then = skip))]
async fn agent(order: Event<u32>, State(log): State<Log>) -> citizenk::Result<u32> {
    log.say(format!("agent {} in {}", order.value, scope()));
    if order.value == 7 {
        return Err(AgentError::new("seven"));
    }
    Ok(order.value)
}

#[test]
fn app_module_and_component_stand_around_each_attempt_in_this_order() {
    let log = Log::default();
    let inside = Module::new("inside")
        .wrap(log.wrap("inside"))
        .register::<agent>();
    let module = Module::new("module")
        .wrap(log.wrap("module"))
        .include(inside);
    let app = App::new("p")
        .state(log.clone())
        .wrap(log.wrap("first"))
        .wrap(log.wrap("second"))
        .include(module);
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, 1);
        app.settle().await;
        assert_eq!(
            log.take(),
            [
                "first > agent `agent` orders/0@0 try 1",
                "second > agent `agent` orders/0@0 try 1",
                "module > agent `agent` orders/0@0 try 1",
                "inside > agent `agent` orders/0@0 try 1",
                "agent 1 in inner",
                "inside < ok",
                "module < ok",
                "second < ok",
                "first < ok"
            ]
        );
        assert_eq!(app.topic(&DONE).sent().len(), 1);
        app.topic(&ORDERS).push(&7, 7);
        app.settle().await;
        app.advance("1s").await;
        let first: Vec<String> = log
            .take()
            .into_iter()
            .filter(|line| line.starts_with("first") || line.starts_with("agent"))
            .collect();
        assert_eq!(
            first,
            [
                "first > agent `agent` orders/0@1 try 1",
                "agent 7 in inner",
                "first < Error: seven",
                "first > agent `agent` orders/0@1 try 2",
                "agent 7 in inner",
                "first < Error: seven",
            ],
            "once per attempt"
        );
        assert_eq!(
            app.topic(&DONE).sent().len(),
            1,
            "a failed call sends nothing"
        );
        assert_eq!(app.committed(&ORDERS)[&0], 2);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], output = DONE, wrap = judge,
                  on_error = retry(3, backoff = "1s..1s", then = dead_letter(LETTERS)))]
async fn judged(order: Event<u32>, State(log): State<Log>) -> citizenk::Result<u32> {
    log.say(format!("judged {}", order.value));
    if order.value == 7 {
        return Err(AgentError::new("seven"));
    }
    Ok(order.value)
}

#[test]
fn a_middleware_refuses_calls_and_replaces_errors() {
    let log = Log::default();
    let app = App::new("p").state(log.clone()).register::<judged>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [1, 13, 7, 2] {
            app.topic(&ORDERS).push(&id, id);
        }
        app.settle().await;
        assert_eq!(
            log.take(),
            ["judged 1", "judged 7", "judged 2"],
            "13 is never called, 7 not tried again"
        );
        let letters = app.dead_letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(
            letters[0].headers.text("citizenk.dead-letter.reason"),
            Some("thirteen is refused")
        );
        assert_eq!(app.committed(&ORDERS)[&0], 4);
        let metrics = app.get("/metrics").await.body;
        let skipped = metrics.lines().find(|line| {
            line.contains("skipped") && line.contains("judged") && !line.starts_with('#')
        });
        assert!(
            skipped.is_some_and(|line| line.ends_with(" 1")),
            "what a middleware gives up is counted: {skipped:?}"
        );
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], timeout = "5s", on_error = skip)]
async fn fragile(order: Event<u32>) {
    match order.value {
        1 => panic!("boom"),
        2 => std::future::pending().await,
        _ => {}
    }
}

#[test]
fn a_middleware_sees_panics_and_timeouts_of_the_handler() {
    let log = Log::default();
    let app = App::new("p").wrap(log.wrap("app")).register::<fragile>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [1, 2, 3] {
            app.topic(&ORDERS).push(&id, id);
        }
        app.settle().await;
        app.advance("5s").await;
        assert_eq!(
            log.take(),
            [
                "app > agent `fragile` orders/0@0 try 1",
                "app < Panic: panicked: boom",
                "app > agent `fragile` orders/0@1 try 1",
                "app < Timeout: took longer than 5s",
                "app > agent `fragile` orders/0@2 try 1",
                "app < ok",
            ]
        );
        assert_eq!(app.committed(&ORDERS)[&0], 3);
        app.stop().await.unwrap();
    });
}

async fn unsafe_itself(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    let handled = next.run().await?;
    match call.key() {
        Some(b"1") => panic!("in the middleware"),
        Some(b"2") => std::future::pending().await,
        _ => Ok(handled),
    }
}

#[citizenk::agent(topics = [ORDERS], output = DONE, timeout = "5s", wrap = unsafe_itself,
                  on_error = dead_letter(LETTERS))]
async fn sound(order: Event<u32>) -> u32 {
    order.value
}

#[test]
fn panics_and_hangs_of_a_middleware_are_contained() {
    block_on(async {
        let app = TestApp::new(App::new("p").register::<sound>())
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [1, 2, 3] {
            app.topic(&ORDERS).push(&id, id);
        }
        app.settle().await;
        app.advance("6s").await;
        let reasons: Vec<_> = app
            .dead_letters()
            .iter()
            .map(|letter| {
                let reason = letter.headers.text("citizenk.dead-letter.reason");
                reason.unwrap_or_default().to_owned()
            })
            .collect();
        assert_eq!(
            reasons,
            ["panicked: in the middleware", "took longer than 5.1s"]
        );
        let done: Vec<_> = app
            .topic(&DONE)
            .sent()
            .iter()
            .map(|sent| sent.value)
            .collect();
        assert_eq!(done, [Some(3)], "the outputs of a failed call do not leave");
        assert_eq!(app.committed(&ORDERS)[&0], 3);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], batch_size = 4, batch_timeout = "1s", on_error = skip)]
async fn rows(rows: Batch<Event<u32>>, State(log): State<Log>) -> BatchOutcome {
    log.say(format!("batch of {} in {}", rows.len(), scope()));
    rows.iter()
        .map(|row| match row.value {
            9 => Outcome::skip("nine"),
            _ => Outcome::Done,
        })
        .collect()
}

async fn batches(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    let about = format!(
        "{call}; {:?} {:?} {:?}..={:?} of {:?}, key {:?}, {} headers",
        call.topic(),
        call.partition(),
        call.offset(),
        call.last_offset(),
        call.group(),
        call.key(),
        call.headers().len(),
    );
    let handled = SCOPE.scope("batches", next.run()).await?;
    SEEN.lock()
        .unwrap()
        .push(format!("{about}: {} failed", handled.failed()));
    Ok(handled)
}

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn a_batch_is_one_call() {
    let log = Log::default();
    let app = App::new("p")
        .state(log.clone())
        .wrap(batches)
        .register::<rows>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        for id in [1, 9, 3, 4] {
            app.topic(&ORDERS).push(&id, id);
        }
        app.settle().await;
        assert_eq!(log.take(), ["batch of 4 in batches"]);
        assert_eq!(
            *SEEN.lock().unwrap(),
            [
                "agent `rows` orders/0@0..=3 (4 records); Some(\"orders\") Some(0) Some(0)..=Some(3) of Some(\"p\"), key None, 0 headers: 1 failed"
            ]
        );
        assert_eq!(app.committed(&ORDERS)[&0], 4);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], concurrency = 4, wrap = scoped)]
async fn keyed(order: Event<u32>, State(log): State<Log>) {
    let before = scope();
    tokio::time::sleep(Duration::from_secs(1)).await;
    log.say(format!("{} in {before}, {}", order.value, scope()));
}

#[test]
fn keys_that_run_at_once_each_have_their_own_call() {
    let log = Log::default();
    let app = App::new("p").state(log.clone()).register::<keyed>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        let begun = app.now();
        for id in [1, 2, 3, 4] {
            app.topic(&ORDERS).push(&id, id);
        }
        app.advance("1s").await;
        let mut seen = log.take();
        seen.sort();
        assert_eq!(
            seen,
            [
                "1 in own, own",
                "2 in own, own",
                "3 in own, own",
                "4 in own, own"
            ]
        );
        assert_eq!((app.now() - begun).num_seconds(), 1, "all at once");
        assert_eq!(app.committed(&ORDERS)[&0], 4);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], blocking = true, wrap = scoped)]
async fn blocking(order: Event<u32>, State(log): State<Log>) {
    log.say(format!("{} in {}", order.value, scope()));
}

#[test]
fn blocking_calls_have_it_too() {
    let log = Log::default();
    let app = App::new("p").state(log.clone()).register::<blocking>();
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 1)
            .start()
            .await
            .unwrap();
        app.topic(&ORDERS).push(&1, 1);
        app.wait_until(|app| app.committed(&ORDERS).values().sum::<i64>() == 1)
            .await;
        assert_eq!(log.take(), ["1 in own"]);
        app.stop().await.unwrap();
    });
}

#[test]
fn records_posted_to_an_agent_pass_through_it() {
    let log = Log::default();
    let app = App::new("p")
        .state(log.clone())
        .wrap(log.wrap("app"))
        .register::<judged>();
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let answer = app.post("/agents/judged/orders", &1).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let seen = log.take();
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert_eq!((&*seen[1], &*seen[2]), ("judged 1", "app < ok"));
        app.stop().await.unwrap();
    });
}
