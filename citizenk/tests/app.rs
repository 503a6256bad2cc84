//! What an app is put together from: state, settings, modules.

#![allow(clippy::unwrap_used, reason = "tests")]

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use citizenk::{Exit, RunError};

const ORDERS: Topic<u32, u32> = Topic::json("orders");
const DONE: Topic<u32, u32> = Topic::json("done");

#[derive(Clone, Debug)]
struct Pool;

#[test]
fn a_state_that_cannot_be_made_is_named_with_the_reason() {
    let app = App::new("a")
        .state_with(async |_| Err::<Pool, _>(AgentError::new("connection refused by db:5432")));
    let error = block_on(async { TestApp::new(app).start().await.unwrap_err() });
    assert_eq!(Exit::from(&error), Exit::FAILED);
    let text = error.to_string();
    assert!(text.contains("Pool"), "{text}");
    assert!(
        text.ends_with("failed: connection refused by db:5432"),
        "{text}"
    );
}

#[derive(serde::Deserialize)]
struct Mine {
    #[allow(dead_code, reason = "only its absence matters")]
    url: String,
}

#[test]
fn a_setting_that_a_state_misses_is_a_mistake_in_the_settings() {
    let app = App::new("a").state_with(async |cx| {
        cx.settings::<Mine>()?;
        Ok::<_, AgentError>(Pool)
    });
    let error = block_on(async { TestApp::new(app).start().await.unwrap_err() });
    assert_eq!(Exit::from(&error), Exit::USAGE, "{error}");
    assert!(matches!(error, RunError::Config(_)), "{error}");
    assert!(error.to_string().contains("url"), "{error}");
}

#[test]
fn a_state_sees_those_before_it_and_settings() {
    let app = App::new("a")
        .state(7_u32)
        .state_with(async |cx| {
            let url: Mine = cx.settings()?;
            let before = cx.state::<u32>();
            Ok::<_, AgentError>(format!("{} {before:?}", url.url))
        })
        .register::<greeting>();
    block_on(async {
        let app = TestApp::new(app)
            .env("APP_URL", "db")
            .start()
            .await
            .unwrap();
        let answer = app.get("/greeting").await;
        assert_eq!(answer.body, "\"db Some(7)\"");
        app.stop().await.unwrap();
    });
}

#[citizenk::route(get = "/greeting")]
async fn greeting(State(text): State<String>) -> Json<String> {
    Json(text)
}

#[derive(Clone, serde::Deserialize)]
struct Limits {
    limit: u32,
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn limited(order: Event<u32>, State(limits): State<Limits>) -> Option<u32> {
    (order.value <= limits.limit).then_some(order.value)
}

#[test]
fn settings_of_the_program_are_a_state_and_are_checked_when_it_is_built() {
    let app = || App::new("p").settings::<Limits>().register::<limited>();
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
        let overridden = app().override_state(Limits { limit: 1 });
        overridden.build_with(settings).await.unwrap();
    });
}

const READ_ONLY: Topic<u32, u32> = Topic::json_input("read-only");

#[citizenk::route(post = "/forgotten")]
async fn forget(producer: Producer) -> &'static str {
    for value in 0..3 {
        drop(producer.send(&DONE, &1, value));
    }
    drop(producer.send(&READ_ONLY, &1, 1));
    "on their way"
}

#[test]
fn sends_that_fail_unheard_are_counted() {
    block_on(async {
        let app = TestApp::new(App::new("p").register::<forget>());
        let app = app.start().await.unwrap();
        app.fail_next(&DONE, 2);
        assert_eq!(app.post("/forgotten", &()).await.status, 200);
        app.settle().await;
        assert_eq!(app.topic(&DONE).sent().len(), 1);
        let metrics = app.get("/metrics").await.body;
        for (topic, count) in [("done", 2), ("read-only", 1)] {
            let line = format!(
                "citizenk_producer_unawaited_errors_total{{producer=\"p\",topic=\"{topic}\"}} {count}"
            );
            assert!(
                metrics.lines().any(|found| found == line),
                "{line}: {metrics}"
            );
        }
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS], output = DONE)]
async fn copied(order: Event<u32>) -> u32 {
    order.value
}

#[test]
fn exactly_once_reads_only_what_is_committed() {
    let settings = |level: &str| {
        let flags = citizenk::Flags {
            embedded: true,
            consumer: vec![format!("isolation.level={level}")],
            ..citizenk::Flags::default()
        };
        citizenk::Settings::resolve(flags, &Default::default(), None).unwrap()
    };
    let app = |guarantee| App::new("p").guarantee(guarantee).register::<copied>();
    let exactly = || app(citizenk::Guarantee::ExactlyOnce);
    block_on(async {
        let refused = exactly().build_with(settings("read_uncommitted")).await;
        let text = refused.unwrap_err().to_string();
        for part in [
            "agent `copied`",
            "`isolation.level` (--consumer)",
            "aborted",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // What it is anyway may be said, and others may read what they like.
        exactly()
            .build_with(settings("read_committed"))
            .await
            .unwrap();
        let at_least = app(citizenk::Guarantee::AtLeastOnce);
        at_least
            .build_with(settings("read_uncommitted"))
            .await
            .unwrap();
    });
}

#[citizenk::module(prefix = "/billing")]
mod billing {
    use super::*;

    #[citizenk::route(get = "/total")]
    async fn total() -> Json<u32> {
        Json(1)
    }

    #[citizenk::module(prefix = "/refunds")]
    mod refunds {
        use super::*;

        #[citizenk::route(get = "/total")]
        async fn returned() -> Json<u32> {
            Json(2)
        }
    }
}

#[test]
fn a_modules_prefix_stands_before_its_routes_and_prefixes_nest() {
    let app = App::new("a").include(billing::module());
    block_on(async {
        let app = TestApp::new(app)
            .env("CITIZENK_PREFIX", "/api")
            .start()
            .await
            .unwrap();
        assert_eq!(app.get("/api/billing/total").await.body, "1");
        assert_eq!(app.get("/api/billing/refunds/total").await.body, "2");
        assert_eq!(app.get("/api/total").await.status, 404);
        let document = app.get("/api/openapi.json").await.body;
        for path in ["/billing/total", "/billing/refunds/total"] {
            assert!(document.contains(path), "{path}: {document}");
        }
        app.stop().await.unwrap();
    });
}

fn of_a_region(key: &[u8], partitions: u32) -> u32 {
    u32::from(key.strip_prefix(b"region:").unwrap()[0]) % partitions
}

fn of_a_country(key: &[u8], partitions: u32) -> u32 {
    u32::from(key.strip_prefix(b"country:").unwrap()[0]) % partitions
}

#[test]
fn partitioners_that_take_no_key_are_refused_where_they_have_to_be_told_apart() {
    let sends = |partitioner| DONE.partitioner(citizenk::Partitioner::Custom(partitioner));
    let agent = |name: &str, done: &Topic<u32, u32>| {
        citizenk::Agent::builder::<Event<u32>>(name)
            .topic(&ORDERS)
            .sends(done)
            .handle(async |_: Event<u32>, _: Outbox| ())
    };
    let (regions, countries) = (sends(of_a_region), sends(of_a_country));
    let app = App::new("a")
        .agent(agent("by-region", &regions))
        .agent(agent("by-country", &countries));
    let refused = app.check().unwrap_err().to_string();
    for part in ["by-country", "`done`", "panics on every key", "let it give"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // One constant is one function.
    let app = App::new("a").agent(agent("one", &regions));
    app.agent(agent("two", &regions)).check().unwrap();
}
