//! Services that prove who they are, against a real Kafka with a listener for each mechanism; left out where
//! `cargo xtask real` has not started one.
//!
//! The service is this program run once more, so that everything it prints can be read, and its exit code.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod secured;

use secured::{Kafka, Program, signed, web};

/// What each mechanism needs beside the protocol.
fn every_mechanism(kafka: &Kafka) -> Vec<(&'static str, Program)> {
    let scram = |mechanism: &str, user: &str| {
        kafka
            .program("SCRAM")
            .with("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
            .with("KAFKA_SASL_MECHANISM", mechanism)
            .user(user)
    };
    vec![
        ("TLS, authority in a file", kafka.tls("SSL", "SSL")),
        (
            "TLS, authority inline",
            kafka
                .program("SSL")
                .with("KAFKA_SECURITY_PROTOCOL", "SSL")
                .with(
                    "KAFKA_SSL_CA_PEM",
                    &kafka.text("ca.pem").replace('\n', "\\n"),
                ),
        ),
        (
            "client certificate in files",
            kafka
                .tls("MTLS", "SSL")
                .with("KAFKA_SSL_CERTIFICATE_LOCATION", &kafka.path("client.pem"))
                .with("KAFKA_SSL_KEY_LOCATION", &kafka.path("client.key")),
        ),
        (
            "client certificate inline",
            kafka
                .tls("MTLS", "SSL")
                .with("KAFKA_SSL_CERTIFICATE_PEM", &kafka.text("client.pem"))
                .with("KAFKA_SSL_KEY_PEM", &kafka.text("client.key"))
                .secret(kafka.text("client.key").lines().nth(1).unwrap()),
        ),
        ("PLAIN", kafka.plain("alice")),
        ("SCRAM-SHA-256", scram("SCRAM-SHA-256", "alice")),
        ("SCRAM-SHA-512", scram("SCRAM-SHA-512", "alice")),
        (
            "OAUTHBEARER, the program's token",
            kafka.oauth().with("TOKEN_LIFE", "3600"),
        ),
    ]
}

#[test]
fn every_mechanism_produces_and_consumes_and_shows_no_secret() {
    let Some(kafka) = Kafka::find() else { return };
    for (name, program) in every_mechanism(&kafka) {
        let mut running = program.with("RUST_LOG", "trace").start();
        running.until(&["got "]);
        running.until_ready();
        for path in [
            "/info",
            "/stats",
            "/metrics",
            "/openapi.json",
            "/asyncapi.json",
        ] {
            running.keep(path);
        }
        let ended = running.stop();
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.text);
        ended.shows_no_secret();
    }
}

#[test]
fn client_credentials_over_https_become_tokens() {
    let Some(kafka) = Kafka::find() else { return };
    let provider = web::Provider::start(signed("alice", 3600));
    let mut running = kafka
        .oauth()
        .with("KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", &provider.url)
        .with("KAFKA_SASL_OAUTHBEARER_CLIENT_ID", "billing")
        .with(
            "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET",
            "canary-client-secret",
        )
        .with("KAFKA_HTTPS_CA_PEM", &provider.ca)
        .secret("canary-client-secret")
        .with("RUST_LOG", "trace")
        .start();
    running.until(&["got "]);
    running.until_ready();
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    ended.shows_no_secret();
}

#[test]
fn a_wrong_password_is_said_and_retried_and_check_ends_with_it() {
    let Some(kafka) = Kafka::find() else { return };
    let wrong = || {
        kafka
            .plain("alice")
            .with("KAFKA_SASL_PASSWORD", "canary-wrong")
            .secret("canary-wrong")
    };
    let expected = [
        "SASL authentication error: Authentication failed: Invalid username or password",
        "; check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (_AUTHENTICATION)",
    ];
    let mut running = wrong().start();
    running.until(&expected);
    running.until_not_ready(&expected);
    // It goes on trying, and a record that was not sent says why.
    running.until(&["not sent: ", expected[0]]);
    assert!(running.is_running());
    let ended = running.stop();
    ended.shows_no_secret();
    let ended = wrong().run("check");
    assert_eq!(ended.code, Some(1), "{}", ended.text);
    assert!(
        expected.iter().all(|text| ended.text.contains(text)),
        "{}",
        ended.text
    );
    ended.shows_no_secret();
}

#[test]
fn a_wrong_mechanism_is_said() {
    let Some(kafka) = Kafka::find() else { return };
    let mut running = kafka
        .plain("alice")
        .with("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")
        .start();
    let expected = ["mechanism handshake failed", "check KAFKA_SASL_MECHANISM"];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.stop().shows_no_secret();
}

#[test]
fn a_wrong_authority_and_a_wrong_host_name_are_told_apart() {
    let Some(kafka) = Kafka::find() else { return };
    let mut running = kafka
        .tls("SSL", "SSL")
        .with("KAFKA_SSL_CA_LOCATION", &kafka.path("other-ca.pem"))
        .start();
    let expected = [
        "certificate verify failed",
        "the authority goes to KAFKA_SSL_CA_LOCATION or KAFKA_SSL_CA_PEM (_SSL)",
    ];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.stop();

    let address = format!("127.0.0.1:{}", kafka.port("SSL"));
    let mut running = kafka
        .tls("SSL", "SSL")
        .with("KAFKA_BOOTSTRAP_SERVERS", &address)
        .start();
    let expected = ["127.0.0.1", "the certificate is not for this host name"];
    running.until(&expected);
    running.until_not_ready(&expected[1..]);
    running.stop();
}

#[test]
fn a_missing_client_certificate_is_said() {
    let Some(kafka) = Kafka::find() else { return };
    let mut running = kafka.tls("MTLS", "SSL").start();
    let expected = [
        "alert bad certificate",
        "wants a client certificate it trusts: set KAFKA_SSL_CERTIFICATE_LOCATION",
    ];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.stop();
}

#[test]
fn an_expired_and_a_refused_token_are_said() {
    let Some(kafka) = Kafka::find() else { return };
    // The program knows it.
    let mut running = kafka.oauth().with("TOKEN_LIFE", "-5").start();
    let expected = [
        "Failed to acquire SASL OAUTHBEARER token: ",
        "the token that was had has expired already",
    ];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.stop().shows_no_secret();
    // Only the broker knows it.
    let mut running = kafka
        .oauth()
        .with("TOKEN_LIFE", "-5")
        .with("TOKEN_SAYS", "3600")
        .start();
    let expected = ["the broker refuses the token", "_AUTHENTICATION"];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.stop().shows_no_secret();
}

#[test]
fn what_acls_deny_is_named() {
    let Some(kafka) = Kafka::find() else { return };
    // The group.
    let mut running = kafka.plain("bob").topic("open-a").group("closed").start();
    let expected = [
        "Group authorization failed",
        "this user needs READ on the group",
    ];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.stop().shows_no_secret();
    // The topic, to read and to write.
    let mut running = kafka.plain("bob").topic("closed-a").group("open-a").start();
    let expected = ["Topic authorization failed", "READ on topics it consumes"];
    running.until(&expected);
    running.until_not_ready(&expected);
    running.until(&["not sent: ", "Topic authorization failed"]);
    running.stop().shows_no_secret();
}

#[test]
fn where_acls_deny_every_group_a_service_without_one_runs() {
    let Some(kafka) = Kafka::find() else { return };
    // Whoever asks for a group is refused, so the absence below says something.
    let group = format!("open-{}", kafka.run);
    let mut running = kafka.plain("carol").group(&group).start();
    running.until(&["Group authorization failed"]);
    running.stop().shows_no_secret();
    let mut running = kafka.plain("carol").with("GROUPLESS", "1").start();
    running.until(&["saw 1"]);
    running.until_ready();
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    assert!(!ended.text.contains("authorization"), "{}", ended.text);
    ended.shows_no_secret();
}

#[test]
fn a_transactional_id_that_is_denied_ends_the_service() {
    let Some(kafka) = Kafka::find() else { return };
    // May read the group, but not write under its transactional ids.
    let group = format!("txn-{}", kafka.run);
    for kind in ["--group", "--topic"] {
        let name = if kind == "--topic" {
            "txn-"
        } else {
            group.as_str()
        };
        kafka.acl(&[
            "--add",
            "--allow-principal",
            "User:bob",
            "--operation",
            "All",
            "--resource-pattern-type",
            "prefixed",
            kind,
            name,
        ]);
    }
    let ended = kafka
        .plain("bob")
        .topic("txn-in")
        .group(&group)
        .with("EXACTLY_ONCE", "1")
        .start()
        .end();
    assert_eq!(ended.code, Some(1), "{}", ended.text);
    for text in [
        "Transactional Id authorization failed",
        "this user needs WRITE on the transactional id",
    ] {
        assert!(ended.text.contains(text), "{text}: {}", ended.text);
    }
    ended.shows_no_secret();
}

#[test]
fn a_password_that_changes_is_said_and_the_service_comes_back() {
    let Some(kafka) = Kafka::find() else { return };
    let right = "canary-dave-password";
    let mut running = kafka
        .program("SCRAM")
        .with("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        .with("KAFKA_SASL_MECHANISM", "SCRAM-SHA-256")
        .user("dave")
        .start();
    running.until(&["got "]);
    running.until_ready();
    kafka.scram_password("dave", "canary-other");
    let expected = [
        "Authentication failed",
        "check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
    ];
    running.until(&expected);
    // Heard 30 s ago is still ready: a broker may restart.
    running.until_not_ready(&expected);
    kafka.scram_password("dave", right);
    running.until_ready();
    running.until(&["got "]);
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    ended.shows_no_secret();
}

#[test]
fn an_acl_that_is_taken_away_is_said_and_the_service_comes_back() {
    let Some(kafka) = Kafka::find() else { return };
    let topic = format!("acl-{}", kafka.run);
    let change = |how: &[&str]| {
        let rule = [
            "--allow-principal",
            "User:bob",
            "--operation",
            "All",
            "--topic",
            &topic,
        ];
        kafka.acl(&[how, &rule].concat());
    };
    change(&["--add"]);
    let mut running = kafka.plain("bob").topic(&topic).group("open-acl").start();
    running.until(&["got "]);
    running.until_ready();
    change(&["--remove", "--force"]);
    let expected = ["Topic authorization failed", "READ on topics it consumes"];
    running.until(&expected);
    running.until_not_ready(&expected);
    assert!(running.is_running());
    change(&["--add"]);
    running.until_ready();
    running.until(&["got "]);
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    ended.shows_no_secret();
}

#[test]
fn a_mistake_ends_the_start_with_the_code_of_usage() {
    let Some(kafka) = Kafka::find() else { return };
    let ended = kafka
        .plain("alice")
        .with("KAFKA_SASL_MECHANISM", "SCRAM-SHA-265")
        .run("run");
    assert_eq!(ended.code, Some(2), "{}", ended.text);
    assert!(
        ended.text.contains("did you mean `SCRAM-SHA-256`?"),
        "{}",
        ended.text
    );
    ended.shows_no_secret();
}

/// Not a test by itself: the service that the others start.
#[test]
fn service() {
    secured::serve();
}
