//! The request, and what becomes of each answer. The TLS is real: certificates are made here.

use std::collections::BTreeMap;
use std::sync::Mutex;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslAcceptor};
use openssl::x509::X509Name;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Secret;

const SECRET: &str = "canary hunter2/ü";

fn certificate() -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder
        .append_extension(BasicConstraints::new().ca().build().unwrap())
        .unwrap();
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .build(&builder.x509v3_context(None, None))
        .unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// Answers every request with this status and body; gives the port, the authority as PEM, and what was asked.
async fn provider(status: &str, body: &str) -> (u16, String, Arc<Mutex<Vec<String>>>) {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (certificate, key) = certificate();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    acceptor.set_private_key(&key).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tls = Ssl::new(acceptor.context()).unwrap();
            let mut stream = SslStream::new(tls, tcp).unwrap();
            if Pin::new(&mut stream).accept().await.is_err() {
                continue;
            }
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            heard.lock().unwrap().push(text);
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    let pem = String::from_utf8(certificate.to_pem().unwrap()).unwrap();
    (port, pem, asked)
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
