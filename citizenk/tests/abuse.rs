//! Requests that mean no good, at the doors that take JSON and names.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

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

/// Behind a proxy the operator says what the service is called.
#[test]
fn origins_of_the_settings_may_change_something() {
    block_on(async {
        let origins = "https://a.example, http://app.example/";
        let app = TestApp::new(app()).env("CITIZENK_HTTP_ORIGINS", origins);
        let app = app.start().await.unwrap();
        let order = r#"{"id":1,"amount":1.0}"#;
        let status = async |origin: &str| {
            let headers = [
                ("origin", origin.to_owned()),
                ("host", "10.0.0.7:8000".to_owned()),
            ];
            let answer =
                app.request_with_headers("POST", "/orders", &headers, Some(order.to_owned()));
            answer.await.status
        };
        assert_eq!(status("http://app.example").await, 200);
        assert_eq!(status("https://a.example").await, 200);
        assert_eq!(status("http://10.0.0.7:8000").await, 200);
        assert_eq!(status("https://app.example").await, 403);
        app.stop().await.unwrap();
    });
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

/// Sources below a folder that have one of these texts outside their tests.
fn sources_with(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Tests may: to see how a limited process fares.
        if path.ends_with("tests") || path.ends_with("testing") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources_with(&path, texts));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let has = texts.iter().filter(|way| text.contains(**way));
            found.extend(has.map(|way| format!("{} has {way}", path.display())));
        }
    }
    found
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The original starts a shell for group names.
#[test]
fn nothing_of_the_library_starts_a_program() {
    let ways = [
        "process::Command",
        "libc::exec",
        "libc::system",
        "posix_spawn",
    ];
    assert_eq!(sources_with(&sources(), &ways), [""; 0]);
}

/// What it serves is part of the program: no link, pipe or device can stand where a file was.
#[test]
fn nothing_of_the_web_opens_a_file() {
    let ways = [
        "std::fs",
        "tokio::fs",
        "File::",
        "OpenOptions",
        "ServeDir",
        "ServeFile",
    ];
    assert_eq!(sources_with(&sources().join("web"), &ways), [""; 0]);
}

#[test]
fn no_path_leads_out_of_what_is_served() {
    let up = ["..", "%2e%2e", ".%2e", "%2E.", "..%00", "%252e%252e", "..;"];
    let slash = ["/", "%2f", "%2F", "\\", "%5c", "%255c", "//", "/./"];
    let targets = [
        "etc/passwd",
        "proc/self/environ",
        "proc/self/fd/0",
        "dev/zero",
        "Cargo.toml",
    ];
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let mut asked = 0;
        for before in ["/docs/", "/topics/", "/agents/", "/"] {
            for (up, slash) in up
                .iter()
                .flat_map(|up| slash.iter().map(move |slash| (up, slash)))
            {
                for target in targets {
                    let climb = format!("{up}{slash}").repeat(8);
                    let target = target.replace('/', slash);
                    for path in [
                        format!("{before}{climb}{target}"),
                        format!("{before}{slash}{target}"),
                        format!("{before}index.html{slash}{climb}{target}"),
                    ] {
                        // What cannot be sent at all needs no answer.
                        if path.parse::<axum::http::Uri>().is_err() {
                            continue;
                        }
                        let answer = app.get(&path).await;
                        let refused = matches!(answer.status, 400 | 404 | 405);
                        assert!(refused, "{path}: {} {}", answer.status, answer.body);
                        assert_eq!(
                            answer.content_type.as_deref(),
                            Some("application/problem+json"),
                            "{path}"
                        );
                        assert!(answer.body.len() < 2_000, "{path}: {}", answer.body);
                        asked += 1;
                    }
                }
            }
        }
        assert!(asked > 1_000, "{asked}");
        app.stop().await
    })
    .unwrap();
}

/// Numbers without pattern, the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// A quarter of a million bodies, or `CITIZENK_FUZZ` of them, most of them broken, many no text: as a handler's argument
/// and as a topic's value.
#[test]
fn no_bytes_are_more_than_a_client_error() {
    const SEEDS: [&[u8]; 5] = [
        br#"{"id":1,"amount":1.5,"notes":["a",{"b":[null,true]}]}"#,
        br#"{"id":4294967296,"amount":-0.0,"notes":[]}"#,
        b"{\"id\":1,\"amount\":1,\"notes\":[\"\xff\xfe\xc3\x28\xed\xa0\x80\"]}",
        br#"{"id":1,"amount":1e308,"notes":["\ud800","\u0000"]}"#,
        b"\xef\xbb\xbf{}",
    ];
    const TOKENS: [&[u8]; 12] = [
        b"{", b"}", b"[", b"]", b"\"", b"\\u", b"NaN", b"1e999", b"-", b"\0", b"\xff", b"\x80",
    ];
    let bodies: usize = match std::env::var("CITIZENK_FUZZ") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => 250_000,
    };
    let orders = citizenk::testing::TopicCodec::new(&ORDERS);
    let (mut noise, mut good) = (Noise(7), 0);
    futures_util::FutureExt::now_or_never(async {
        for _ in 0..bodies {
            let mut body = SEEDS[noise.next(SEEDS.len())].to_vec();
            for _ in 0..noise.next(4) {
                let at = noise.next(body.len() + 1);
                match noise.next(4) {
                    0 => body.truncate(at),
                    1 => body.insert(at, u8::try_from(noise.next(256)).unwrap()),
                    2 => body.extend_from_within(at..),
                    _ => {
                        let token = TOKENS[noise.next(TOKENS.len())];
                        body.splice(at..at, token.iter().copied());
                    }
                }
            }
            let decoded = orders.decode(&body).is_ok();
            let request = axum::http::Request::post("/")
                .header("content-type", "application/json")
                .body(axum::body::Body::from(body.clone()))
                .unwrap();
            let taken = <Json<Order> as axum::extract::FromRequest<()>>::from_request(request, &());
            let shown = || body.escape_ascii().to_string();
            match taken.await {
                Ok(_) => {
                    assert!(decoded, "{}", shown());
                    good += 1;
                }
                Err(problem) => {
                    assert!(!decoded, "{}", shown());
                    let status = problem.status().as_u16();
                    assert!(matches!(status, 400 | 422), "{problem}: {}", shown());
                    assert!(problem.detail().len() < 1_000, "{problem}");
                }
            }
        }
    })
    .expect("nothing waits");
    assert!(good > bodies / 100 && good < bodies, "{good} were good");
}
