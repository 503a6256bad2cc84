//! The request, and what becomes of each answer. The TLS is real: certificates are made here.

use std::collections::BTreeMap;

use tokio::net::TcpListener;

use super::*;
use crate::config::Secret;
use crate::fetch::server::{Asked, answering};

const SECRET: &str = "canary hunter2/ü";

/// Gives the port, the authority as PEM, and what was asked.
async fn provider(status: &str, body: &str) -> (u16, String, Asked) {
    answering(status, body, None).await
}

fn credentials(port: u16, pem: Option<String>) -> ClientCredentials {
    ClientCredentials {
        url: format!("https://localhost:{port}/realms/x/token?y=1"),
        id: "billing".to_owned(),
        secret: Secret::new(SECRET),
        scope: Some("kafka write".to_owned()),
        extensions: BTreeMap::from([("logicalCluster".to_owned(), "lkc-1".to_owned())]),
        ca_location: None,
        ca_pem: pem,
    }
}

async fn get(credentials: ClientCredentials) -> Result<OauthToken, String> {
    let got = source(credentials)();
    tokio::time::timeout(Duration::from_secs(20), got)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_token_is_had_for_id_and_secret() {
    let (port, pem, asked) = provider(
        "200 OK",
        "{\"access_token\":\"abc.def\",\"expires_in\":60,\"other\":1  }",
    )
    .await;
    let token = get(credentials(port, Some(pem))).await.unwrap();
    assert_eq!((token.value(), token.owner()), ("abc.def", "billing"));
    assert_eq!(token.extensions()["logicalCluster"], "lkc-1");
    let left = token.expires_millis() - OauthToken::expires_in("", Duration::ZERO).expires_millis();
    assert!((50_000..=60_000).contains(&left), "{left}");
    let asked = asked.lock().unwrap().concat();
    assert!(
        asked.starts_with("POST /realms/x/token?y=1 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.ends_with("grant_type=client_credentials&scope=kafka+write"),
        "{asked}"
    );
    let pair = openssl::base64::encode_block(b"billing:canary+hunter2%2F%C3%BC");
    assert!(
        asked.contains(&format!("authorization: Basic {pair}\r\n")),
        "{asked}"
    );
}

#[tokio::test]
async fn a_refusal_says_why_and_never_the_secret() {
    let (port, pem, _) = provider(
        "401 Unauthorized",
        "{\"error\":\"invalid_client\",\"error_description\":\"canary hunter2/\\u00fc is wrong\"     }",
    )
    .await;
    let error = get(credentials(port, Some(pem))).await.unwrap_err();
    assert_eq!(
        error,
        format!(
            "https://localhost:{port}/realms/x/token?y=1: answered 401: invalid_client: *** is wrong; \
             check KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET"
        )
    );
}

#[tokio::test]
async fn an_answer_without_a_token_is_not_quoted() {
    let (port, pem, _) = provider("200 OK", "{\"token\":\"hidden\"}").await;
    let error = get(credentials(port, Some(pem))).await.unwrap_err();
    assert!(
        error.ends_with(": the answer is not JSON with an `access_token`"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_setting_named() {
    let (port, _, asked) = provider("200 OK", "").await;
    let error = get(credentials(port, None)).await.unwrap_err();
    assert!(
        error.contains("its certificate is refused: self-signed certificate; give the authority in KAFKA_HTTPS_CA_LOCATION"),
        "{error}"
    );
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_is_said() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = get(credentials(port, None)).await.unwrap_err();
    assert!(error.contains("/token?y=1: connecting: "), "{error}");
}
