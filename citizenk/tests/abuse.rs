//! Requests that mean no good, at the doors that take JSON and names.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
    amount: f64,
    #[serde(default)]
    notes: Vec<serde_json::Value>,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");

/// Takes an order.
#[citizenk::route(post = "/orders")]
async fn take(Json(order): Json<Order>) -> Json<u32> {
    citizenk::http::Json(order.id)
}

fn app() -> App {
    App::new("shop").topic(&ORDERS).register::<take>()
}

#[test]
fn bad_json_is_refused_with_its_field_and_harms_nobody() {
    let deep = format!(
        r#"{{"id":1,"amount":1.0,"notes":[{}{}]}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let long = "x".repeat(100_000);
    let (text, name) = (
        format!(r#"{{"id":"{long}","amount":1}}"#),
        format!(r#"{{"{long}":1,"{long}":2}}"#),
    );
    let cases: [(&str, &[u16], &str); 12] = [
        (&text, &[422], "field `id`"),
        (&name, &[422], "missing field"),
        ("", &[400], ""),
        ("{", &[400], ""),
        ("[]", &[422], ""),
        (r#"{"id":1}"#, &[422], "amount"),
        (r#"{"id":"one","amount":1}"#, &[422], "id"),
        (r#"{"id":-1,"amount":1}"#, &[422], "id"),
        (r#"{"id":1,"id":2,"amount":1}"#, &[422], "id"),
        (r#"{"id":1,"amount":NaN}"#, &[400], ""),
        (r#"{"id":1,"amount":1e999}"#, &[400, 422], ""),
        (&deep, &[400, 422], ""),
    ];
    block_on(async {
        let app = TestApp::new(app).start().await?;
        for (body, statuses, field) in cases {
            for path in ["/orders", "/topics/orders"] {
                let answer = app.request("POST", path, Some(body.to_owned())).await;
                let shown = &body[..body.len().min(80)];
                assert!(
                    statuses.contains(&answer.status),
                    "{path} {shown}: {} {}",
                    answer.status,
                    answer.body
                );
                assert_eq!(
                    answer.content_type.as_deref(),
                    Some("application/problem+json")
                );
                assert!(
                    answer.body.contains(field),
                    "{path} {shown}: {}",
                    answer.body
                );
                assert!(answer.body.len() < 2_000, "an echo: {}", answer.body);
            }
        }
        assert!(app.topic(&ORDERS).sent().is_empty());
        app.stop().await
    })
    .unwrap();
}

#[test]
fn no_body_is_a_server_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = tokio::task::LocalSet::new();
    let app = local.block_on(&runtime, async { TestApp::new(app).start().await.unwrap() });
    let cases = Config {
        cases: 1_000,
        failure_persistence: None,
        ..Config::default()
    };
    let bodies = prop_oneof![
        "\\PC{0,60}",
        r#"[\[\]{}",:0-9a-z.eE+-]{0,60}"#,
        r#"\{"id":[0-9"a-z.-]{1,8},"amount":[0-9"a-z.-]{1,8}(,"notes":\[[0-9,\[\]"]{0,8}\])?\}"#,
    ];
    TestRunner::new(cases)
        .run(&bodies, |body| {
            local.block_on(&runtime, async {
                for path in ["/orders", "/topics/orders"] {
                    let answer = app.request("POST", path, Some(body.clone())).await;
                    prop_assert!(
                        matches!(answer.status, 200 | 400 | 422),
                        "{path}: {} {}",
                        answer.status,
                        answer.body
                    );
                }
                Ok(())
            })
        })
        .expect("no body is a server error");
    local.block_on(&runtime, app.stop()).unwrap();
}

#[test]
fn a_compressed_body_is_not_unpacked() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100_000, "small enough to be let in");
    // As text, which it is not: what counts is that nobody unpacks it.
    let bomb = String::from_utf8_lossy(&bomb).into_owned();
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("content-encoding", "gzip".to_owned()),
        ];
        for path in ["/orders", "/topics/orders"] {
            let answer = app
                .request_with_headers("POST", path, &headers, Some(bomb.clone()))
                .await;
            assert!(matches!(answer.status, 400 | 415), "{}", answer.body);
        }
        app.stop().await
    })
    .unwrap();
}

#[test]
fn names_that_are_none_reach_no_topic() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let long = "x".repeat(300);
        for name in [
            "__consumer_offsets",
            "%2e%2e%2forders",
            "orders%00",
            "orders%0d%0aX-Evil:%201",
            "%3B%20rm%20-rf%20%2F",
            "%24%28reboot%29",
            "%3Cscript%3E",
            &long,
        ] {
            let path = format!("/topics/{name}");
            let order = Some(r#"{"id":1,"amount":1}"#.to_owned());
            let answer = app.request("POST", &path, order).await;
            assert!(
                matches!(answer.status, 403 | 404),
                "{path}: {}",
                answer.body
            );
            assert_eq!(
                answer.content_type.as_deref(),
                Some("application/problem+json"),
                "what it says of the name is no page"
            );
            assert!(answer.headers.iter().all(|(name, _)| name != "x-evil"));
        }
        assert!(app.topic(&ORDERS).sent().is_empty());
        app.stop().await
    })
    .unwrap();
}

/// The original starts a shell for group names.
#[test]
fn nothing_of_the_library_starts_a_program() {
    fn look(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Tests may: to see how a limited process fares.
            if path.ends_with("tests") || path.ends_with("testing") {
                continue;
            }
            if path.is_dir() {
                look(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                for way in [
                    "process::Command",
                    "libc::exec",
                    "libc::system",
                    "posix_spawn",
                ] {
                    assert!(!text.contains(way), "{} has {way}", path.display());
                }
            }
        }
    }
    look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}
