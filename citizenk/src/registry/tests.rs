//! What only a registry that is told to can show: faults, failover, credentials, one flight per id.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::fetch::server::{answering, certificate};

const ORDER: &str = r#"{"type": "record", "name": "Order", "fields": []}"#;
const SECRET: &str = "canary-hunter2";

/// The time of a test; nothing here takes longer than some seconds.
async fn bounded<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .unwrap()
}

/// The paused clock counts in milliseconds.
fn took(begun: tokio::time::Instant, millis: u64) {
    let elapsed = begun.elapsed();
    let expected = Duration::from_millis(millis);
    assert!(
        elapsed >= expected && elapsed < expected + Duration::from_millis(20),
        "{elapsed:?}"
    );
}

async fn started() -> (EmbeddedRegistry, Registry) {
    let embedded = EmbeddedRegistry::start().await.unwrap();
    let registry = Registry::builder(embedded.url()).build().unwrap();
    (embedded, registry)
}

/// A port where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn an_id_is_asked_for_once_and_then_never_again() {
    bounded(async {
        let (embedded, registry) = started().await;
        let id = registry
            .register("orders-value", &NewSchema::avro(ORDER))
            .await
            .unwrap();
        assert!(registry.cached(id).is_none());
        // Nothing is answered until all of them wait.
        embedded.silence();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let registry = registry.clone();
            waiting.spawn(async move { registry.fetch(id).await });
        }
        while embedded.requests_of(&format!("/schemas/ids/{id}")) == 0 {
            tokio::task::yield_now().await;
        }
        embedded.heal();
        while let Some(fetched) = waiting.join_next().await {
            assert_eq!(fetched.unwrap().unwrap().text(), ORDER);
        }
        assert_eq!(embedded.requests_of(&format!("/schemas/ids/{id}")), 1);
        // The steady state: the registry may be gone.
        embedded.fail(500);
        let before = embedded.requests();
        for _ in 0..1000 {
            assert_eq!(registry.cached(id).unwrap().id(), id);
            assert!(registry.fetch(id).await.is_ok());
        }
        assert_eq!(embedded.requests(), before);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_with_pauses() {
    let embedded = EmbeddedRegistry::new();
    let registry = embedded.registry();
    let id = registry
        .register("a", &NewSchema::avro(ORDER))
        .await
        .unwrap();
    embedded.fail_next(4, 503);
    let begun = tokio::time::Instant::now();
    assert!(registry.fetch(id).await.is_ok());
    took(begun, 100 + 200 + 400 + 800);
    assert_eq!(embedded.requests_of("/schemas/ids/1"), 5);
}

#[tokio::test(start_paused = true)]
async fn tries_end_and_a_failure_is_not_remembered() {
    let embedded = EmbeddedRegistry::new();
    let registry = embedded.registry();
    let id = registry
        .register("a", &NewSchema::avro(ORDER))
        .await
        .unwrap();
    embedded.fail(500);
    let error = registry.fetch(id).await.unwrap_err();
    assert!(error.is_retriable() && !error.is_unknown(), "{error}");
    assert!(
        error.to_string().contains("answered 500: told to fail"),
        "{error}"
    );
    assert_eq!(embedded.requests_of("/schemas/ids/1"), 5);
    embedded.heal();
    assert!(registry.fetch(id).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_id_is_remembered_for_a_second_only() {
    let embedded = EmbeddedRegistry::new();
    let registry = embedded.registry();
    let error = registry.fetch(1).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert!(error.to_string().contains("schema id 1"), "{error}");
    // It might have been on its way to a replica.
    assert_eq!(embedded.requests_of("/schemas/ids/1"), 5);
    assert!(registry.fetch(1).await.is_err());
    assert_eq!(embedded.requests_of("/schemas/ids/1"), 5);
    registry
        .register("a", &NewSchema::avro(ORDER))
        .await
        .unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(registry.fetch(1).await.unwrap().text(), ORDER);
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_waited_for_five_seconds() {
    let embedded = EmbeddedRegistry::new();
    embedded.silence();
    let begun = tokio::time::Instant::now();
    let error = embedded.registry().subjects().await.unwrap_err();
    took(begun, 5000);
    assert!(
        error.to_string().ends_with("no answer within 5 s"),
        "{error}"
    );
}

#[tokio::test]
async fn who_waits_no_more_leaves_the_others_their_flight() {
    bounded(async {
        let (embedded, registry) = started().await;
        let id = registry
            .register("a", &NewSchema::avro(ORDER))
            .await
            .unwrap();
        embedded.silence();
        let first = tokio::spawn({
            let registry = registry.clone();
            async move { registry.fetch(id).await }
        });
        while embedded.requests_of("/schemas/ids/1") == 0 {
            tokio::task::yield_now().await;
        }
        let mut second = std::pin::pin!(registry.fetch(id));
        assert!(futures_util::poll!(&mut second).is_pending());
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        embedded.heal();
        assert!(second.await.is_ok());
        assert_eq!(embedded.requests_of("/schemas/ids/1"), 1);
    })
    .await;
}

#[tokio::test]
async fn another_url_is_used_when_one_is_gone_or_fails() {
    bounded(async {
        let gone = nobody().await;
        let (failing, working) = (
            EmbeddedRegistry::start().await.unwrap(),
            EmbeddedRegistry::start().await.unwrap(),
        );
        failing.fail(502);
        let urls = [&gone, failing.url(), working.url()].join(",");
        let registry = Registry::builder(&urls).build().unwrap();
        assert_eq!(registry.subjects().await.unwrap(), Vec::<String>::new());
        assert_eq!((failing.requests(), working.requests()), (1, 1));
        // It stays with the one that answered.
        registry.subjects().await.unwrap();
        assert_eq!((failing.requests(), working.requests()), (1, 2));
        working.fail(500);
        let error = registry.subjects().await.unwrap_err().to_string();
        for url in urls.split(',') {
            assert!(error.contains(url), "{url}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_registry_refuses_another_url_is_not_asked() {
    bounded(async {
        let (first, second) = (
            EmbeddedRegistry::start().await.unwrap(),
            EmbeddedRegistry::start().await.unwrap(),
        );
        let urls = format!("{},{}", first.url(), second.url());
        let registry = Registry::builder(&urls).build().unwrap();
        for status in [400, 401, 404, 422, 429] {
            first.fail(status);
            assert!(registry.subjects().await.is_err(), "{status}");
        }
        assert_eq!(second.requests(), 0);
    })
    .await;
}

#[tokio::test]
async fn credentials_are_sent_and_never_said() {
    bounded(async {
        let (embedded, plain) = started().await;
        embedded.require_basic_auth("ada", SECRET);
        let error = plain.subjects().await.unwrap_err();
        assert!(
            matches!(error, RegistryError::Unauthorized { status: 401, .. }),
            "{error}"
        );
        let right = Registry::builder(embedded.url()).basic_auth("ada", SECRET);
        assert!(right.clone().build().unwrap().subjects().await.is_ok());
        embedded.require_bearer_token(SECRET);
        let token = Registry::builder(embedded.url()).bearer_token(SECRET);
        assert!(token.clone().build().unwrap().subjects().await.is_ok());
        // It repeats what it was sent: in no text of ours, whatever the form.
        let pair = openssl::base64::encode_block(format!("ada:{SECRET}").as_bytes());
        let wrong = right.clone().build().unwrap();
        let error = wrong.subjects().await.unwrap_err();
        embedded.require_bearer_token("another");
        let other = token.clone().build().unwrap().subjects().await.unwrap_err();
        let said = format!("{right:?} {token:?} {wrong:?} {error:?} {error} {other:?} {other}");
        assert!(said.contains("***"), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(&pair), "{said}");
    })
    .await;
}

#[tokio::test]
async fn garbage_is_the_registrys_trouble_and_not_the_records() {
    bounded(async {
        let (embedded, registry) = started().await;
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"schema": 7}"#,
            r#"{"schema": "x", "schemaType": "XML"}"#,
        ] {
            embedded.answer_with(body);
            let error = registry.0.client.schema(1.into()).await.unwrap_err();
            assert!(
                matches!(error, RegistryError::Unexpected { .. }),
                "{body}: {error}"
            );
            assert!(error.is_retriable());
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    bounded(async {
        let embedded = EmbeddedRegistry::start().await.unwrap();
        embedded.answer_with("x".repeat(100_000));
        let registry = Registry::builder(embedded.url()).largest_answer(10_000);
        let error = registry.build().unwrap().subjects().await.unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("the answer has more than 10000 bytes"),
            "{error}"
        );
    })
    .await;
}

/// Answers everything with this; gives the URL.
async fn saying(answer: String) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    bounded(async {
        let elsewhere = EmbeddedRegistry::start().await.unwrap();
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: {}/subjects\r\ncontent-length: 0\r\n\r\n",
            elsewhere.url()
        );
        let url = saying(answer).await;
        let registry = Registry::builder(&url)
            .bearer_token(SECRET)
            .build()
            .unwrap();
        let error = registry.subjects().await.unwrap_err().to_string();
        assert!(error.contains("redirects are not followed"), "{error}");
        assert_eq!(elsewhere.requests(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_path_is_no_unknown_schema() {
    bounded(async {
        let embedded = EmbeddedRegistry::start().await.unwrap();
        let url = format!("{}/apis/", embedded.url());
        let error = Registry::builder(&url)
            .build()
            .unwrap()
            .fetch(1)
            .await
            .unwrap_err();
        assert!(!error.is_unknown(), "{error}");
        assert!(error.to_string().contains("below another path"), "{error}");
        assert_eq!(embedded.requests_of("/apis/schemas/ids/1"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_no_answer() {
    bounded(async {
        let url = saying("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_owned()).await;
        let error = Registry::builder(&url)
            .build()
            .unwrap()
            .subjects()
            .await
            .unwrap_err();
        assert!(
            matches!(error, RegistryError::Unavailable { .. }),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn tls_trusts_the_given_authority_and_shows_the_clients_certificate() {
    bounded(async {
        let (client, key) = certificate();
        let (port, ca, asked) = answering("200 OK", r#"["orders-value"]"#, Some(&client)).await;
        let url = format!("https://localhost:{port}");
        let text = |pem: Vec<u8>| String::from_utf8(pem).unwrap();
        let (client, key) = (
            text(client.to_pem().unwrap()),
            text(key.private_key_to_pem_pkcs8().unwrap()),
        );
        let registry = Registry::builder(&url)
            .ca_pem(&ca)
            .identity_pem(&client, &key);
        assert_eq!(
            registry.build().unwrap().subjects().await.unwrap(),
            ["orders-value"]
        );
        assert!(asked.lock().unwrap()[0].starts_with("GET /subjects HTTP/1.1\r\n"));

        let stranger = Registry::builder(&url).build().unwrap();
        let error = stranger.subjects().await.unwrap_err().to_string();
        assert!(error.contains("its certificate is refused"), "{error}");
        assert!(error.contains("SCHEMA_REGISTRY_SSL_CA_LOCATION"), "{error}");

        let nameless = Registry::builder(&url).ca_pem(&ca).build().unwrap();
        assert!(nameless.subjects().await.is_err());
        assert_eq!(asked.lock().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() {
    let built = |builder: RegistryBuilder| builder.build().unwrap_err().to_string();
    let begin = || Registry::builder("https://localhost");
    let error = built(begin().ca_location("/no/such/file"));
    assert!(error.contains("the authorities' certificates"), "{error}");
    let error = built(begin().identity_pem("x", "-----BEGIN PRIVATE KEY-----"));
    assert!(error.contains("the client's"), "{error}");
    let error = built(Registry::builder("registry:8081"));
    assert!(error.contains("must begin with `http://`"), "{error}");
}

#[tokio::test]
async fn references_come_with_a_schema_each_once_and_in_order() {
    bounded(async {
        let (embedded, registry) = started().await;
        let named = |name: &str| {
            NewSchema::avro(format!(
                r#"{{"type": "record", "name": "{name}", "fields": []}}"#
            ))
        };
        registry.register("c", &named("C")).await.unwrap();
        let b = named("B").reference("C", "c", 1);
        registry.register("b", &b).await.unwrap();
        let a = named("A").reference("B", "b", 1).reference("C", "c", 1);
        let id = registry.register("a", &a).await.unwrap();
        let fetched = registry.fetch(id).await.unwrap();
        let names: Vec<&str> = fetched
            .references()
            .iter()
            .map(|r| r.name.as_str())
            .collect();
        assert_eq!(names, ["C", "B"]);
        let before = embedded.requests();
        registry.fetch(id).await.unwrap();
        assert_eq!(embedded.requests(), before);
    })
    .await;
}
