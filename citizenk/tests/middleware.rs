//! Middleware around calls, on the in-memory log with the test's own clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use citizenk::FailureKind;
use citizenk::middleware::{CallInfo, CallKind, Handled, Next};
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

const ORDERS: Topic<u32, u32> = Topic::json("orders");
const DONE: Topic<u32, u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// A middleware that says when a call goes in and how it comes out.
    fn wrap(
        &self,
        name: &'static str,
    ) -> impl Fn(CallInfo, Next) -> Wrapped + Send + Sync + use<> + 'static {
        let log = self.clone();
        move |call, next| {
            let log = log.clone();
            Box::pin(async move {
                log.say(format!("{name} > {call} try {}", call.attempt()));
                let result = next.run().await;
                match &result {
                    Ok(_) => log.say(format!("{name} < ok")),
                    Err(error) => log.say(format!("{name} < {:?}: {error}", error.kind())),
                }
                result
            })
        }
    }
}

type Wrapped = std::pin::Pin<Box<dyn Future<Output = citizenk::Result<Handled>> + Send>>;

tokio::task_local! {
    static SCOPE: &'static str;
}

fn scope() -> &'static str {
    SCOPE.try_with(|scope| *scope).unwrap_or("none")
}

async fn scoped(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    SCOPE.scope("own", next.run()).await
}

async fn inner(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    SCOPE.scope("inner", next.run()).await
}

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

#[citizenk::repeat_every("10s", wait_first = true, sends = [DONE], wrap = scoped)]
async fn tick(out: Outbox, clock: Clock, State(log): State<Log>) -> citizenk::Result<()> {
    log.say(format!("tick at {} in {}", clock.now(), scope()));
    out.send(&DONE, &1, 1)?;
    Ok(())
}

#[citizenk::on_event(startup, sends = [DONE], wrap = scoped)]
async fn begin(out: Outbox, app: AppInfo, State(log): State<Log>) -> citizenk::Result<()> {
    log.say(format!(
        "begin {} {} {:?} in {}",
        app.name(),
        app.version(),
        app.base_url(),
        scope()
    ));
    out.send(&DONE, &2, 2)?;
    Ok(())
}

#[test]
fn timers_and_hooks_are_calls_without_records_and_send_what_they_declare() {
    let log = Log::default();
    let app = App::new("p")
        .version("1.2.3")
        .state(log.clone())
        .wrap(log.wrap("app"))
        .register::<begin>()
        .register::<tick>();
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        app.settle().await;
        app.advance("10s").await;
        assert_eq!(
            log.take(),
            [
                "app > hook `begin` try 1",
                "begin p 1.2.3 None in own",
                "app < ok",
                "app > timer `tick` try 1",
                "tick at 2025-01-01 00:00:10 UTC in own",
                "app < ok",
            ]
        );
        let keys: Vec<_> = app
            .topic(&DONE)
            .sent()
            .iter()
            .map(|sent| sent.key)
            .collect();
        assert_eq!(keys, [Some(2), Some(1)]);
        app.stop().await.unwrap();
    });
}

async fn refuse(call: CallInfo, _next: Next) -> citizenk::Result<Handled> {
    Err(AgentError::new(format!("no {} today", call.kind())))
}

#[citizenk::on_event(startup, wrap = refuse)]
async fn refused() {
    unreachable!("the middleware refuses it");
}

#[test]
fn a_refused_start_up_hook_ends_the_start() {
    block_on(async {
        let error = TestApp::new(App::new("p").register::<refused>())
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "hook `refused` failed: no hook today");
    });
}

#[citizenk::repeat_every("10s", wait_first = true, sends = [DONE], on_error = stop)]
async fn astray(out: Outbox) -> citizenk::Result<()> {
    out.send(&ORDERS, &1, 1)?;
    Ok(())
}

#[citizenk::repeat_every("10s")]
async fn nowhere(_out: Outbox) {}

#[citizenk::on_event(startup)]
async fn nowhere_too(_out: Outbox) {}

#[citizenk::agent(topics = [ORDERS])]
async fn nowhere_either(_order: Event<u32>, _out: Outbox) {}

#[test]
fn an_outbox_sends_only_where_its_component_says() {
    let app = App::new("p")
        .register::<nowhere>()
        .register::<nowhere_too>()
        .register::<nowhere_either>();
    let text = app.check().unwrap_err().to_string();
    for component in [
        "timer `nowhere`",
        "hook `nowhere_too`",
        "agent `nowhere_either`",
    ] {
        let line = format!(
            "{component}: takes an `Outbox`, but names no topic it may send to; add `sends = [TOPIC]`"
        );
        assert!(text.contains(&line), "{text}");
    }
    block_on(async {
        let app = TestApp::new(App::new("p").register::<astray>())
            .start()
            .await
            .unwrap();
        app.advance("10s").await;
        let reason = app.stopped().unwrap();
        assert!(
            reason.contains(
                "topic `orders` is not declared; add it to `sends = [..]` (declared: done)"
            ),
            "{reason}"
        );
        app.stop().await.unwrap_err();
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

#[test]
fn a_middleware_is_tested_by_calling_it() {
    block_on(async {
        let call = CallInfo::new(CallKind::Timer, "report");
        assert_eq!(call.to_string(), "timer `report`");
        assert!(
            scoped(call.clone(), Next::new(async { Ok(()) }))
                .await
                .is_ok()
        );
        let failing = Next::new(async { Err(AgentError::new("no")) });
        let error = scoped(call, failing).await.unwrap_err();
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (FailureKind::Error, "no")
        );
    });
}

#[derive(Clone, serde::Deserialize)]
struct Mine {
    limit: u32,
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn limited(order: Event<u32>, State(mine): State<Mine>) -> Option<u32> {
    (order.value <= mine.limit).then_some(order.value)
}

#[test]
fn settings_of_the_program_are_a_state_and_are_checked_when_it_is_built() {
    let app = || App::new("p").settings::<Mine>().register::<limited>();
    block_on(async {
        let running = TestApp::new(app)
            .env("APP_LIMIT", "5")
            .start()
            .await
            .unwrap();
        running.topic(&ORDERS).push(&1, 5);
        running.topic(&ORDERS).push(&1, 6);
        running.settle().await;
        assert_eq!(running.topic(&DONE).sent().len(), 1);
        running.stop().await.unwrap();

        let flags = citizenk::Flags {
            embedded: true,
            ..citizenk::Flags::default()
        };
        let settings = citizenk::Settings::resolve(flags, &Default::default(), None).unwrap();
        let error = app().build_with(settings.clone()).await.unwrap_err();
        assert!(error.to_string().contains("APP_LIMIT"), "{error}");
        let overridden = app().override_state(Mine { limit: 1 });
        overridden.build_with(settings).await.unwrap();
    });
}
