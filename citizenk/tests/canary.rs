//! What nobody may be told is in no answer to a malformed request, and in no log at any level. The only test of this
//! program: it listens to all logs.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event as LogEvent, Metadata, Subscriber};

/// The service's own secrets.
const TOKEN: &str = "canary-token-93b1f0c27a";
const SECRET: &str = "canary-secret-5d0e8c41b6";
/// What clients send and others may not see.
const BEARER: &str = "canary-bearer-b7710fd3e2";
const COOKIE: &str = "canary-cookie-28f4a6910c";
const BODY: &str = "canary-body-e05c9d7134";

#[citizenk::message]
#[derive(Clone)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");

#[citizenk::agent(topics = [ORDERS])]
async fn count(order: Event<Order>) {
    drop(order);
}

#[citizenk::route(post = "/own")]
async fn own(Json(order): Json<Order>) -> Json<u32> {
    citizenk::http::Json(order.id)
}

#[citizenk::topic_router(topic = ORDERS, key = "id", post = "/orders/{id}", forward_headers = ["authorization"])]
async fn routed(Path(id): Path<u32>, Json(_): Json<Order>) -> Json<u32> {
    citizenk::http::Json(id)
}

#[citizenk::broadcast_router(post = "/all", merge = list)]
async fn all(Json(order): Json<Order>) -> Json<u32> {
    citizenk::http::Json(order.id)
}

static LOGS: Mutex<String> = Mutex::new(String::new());

/// Writes down everything.
struct Listener;

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

fn logs<R>(with: impl FnOnce(&mut String) -> R) -> R {
    with(&mut LOGS.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        logs(|text| span.record(&mut Line(text)));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        logs(|text| values.record(&mut Line(text)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &LogEvent<'_>) {
        logs(|text| {
            text.push('\n');
            event.record(&mut Line(text));
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn no_canary_is_in_answers_or_logs_whatever_is_sent() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    tracing::trace!("it listens");
    let app = || {
        App::new("shop")
            .register::<count>()
            .register::<own>()
            .register::<routed>()
            .register::<all>()
    };
    let bodies = [
        String::new(),
        format!("{{\"id\":\"{BODY}"),
        format!("{{\"id\":\"{BODY}\"}}"),
        format!("{{\"id\":{{\"{BODY}\":1}}}}"),
        format!("[\"{BODY}\"]"),
        format!("\"{BODY}\""),
        format!("{{\"{BODY}\":1}}"),
        "\u{0}".to_owned(),
    ];
    let paths = [
        "/own",
        "/orders/1",
        "/orders/2",
        "/orders/x",
        "/all",
        "/topics/orders",
        "/topics/orders?key=x",
        "/topics/nothing",
        "/agents/count/orders",
        "/agents/nobody/orders",
        "/nothing",
    ];
    block_on(async {
        let app = TestApp::new(app)
            .workers(2)
            .partitions(&ORDERS, 4)
            .env("CITIZENK_HTTP_TOKEN", TOKEN)
            .env("CITIZENK_CLUSTER_SECRET", SECRET)
            .start()
            .await?;
        let hop = format!("1;t=1;h=authorization;mac={}", "0".repeat(64));
        for authorization in [BEARER, TOKEN] {
            for forged in [None, Some(&hop)] {
                let mut headers = vec![
                    ("authorization", format!("Bearer {authorization}")),
                    ("cookie", format!("session={COOKIE}")),
                ];
                headers.extend(forged.map(|hop| ("citizenk-hop", hop.clone())));
                for path in paths {
                    for body in &bodies {
                        let body = Some(body.clone());
                        let answer = app.request_to(0, "POST", path, &headers, body).await;
                        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
                        let answer = format!("{answer:?}");
                        for canary in [TOKEN, SECRET, BEARER, COOKIE] {
                            assert!(!answer.contains(canary), "{path}: {answer}");
                        }
                    }
                }
            }
        }
        app.stop().await
    })
    .unwrap();
    let logs = logs(|text| text.clone());
    assert!(logs.contains("it listens"));
    for canary in [TOKEN, SECRET, BEARER, COOKIE, BODY] {
        let line = logs.lines().find(|line| line.contains(canary));
        assert_eq!(line, None);
    }
}
