//! A token for client credentials (RFC 6749 §4.4): one POST over HTTPS.
//!
//! The TLS is the OpenSSL that librdkafka is linked with: no second library of it in the program, and the same
//! rules for certificates as on the connections to brokers.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use openssl::x509::X509;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::{OauthToken, TokenSource};
use crate::config::ClientCredentials;

/// No token is larger than this.
const LARGEST: usize = 256 * 1024;
/// What is not told how long it lives is renewed after some minutes.
const UNTOLD: u64 = 300;

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    error: String,
    error_description: String,
}

/// Asks the endpoint each time.
pub(crate) fn source(credentials: ClientCredentials) -> TokenSource {
    let credentials = Arc::new(credentials);
    Arc::new(move || {
        let credentials = credentials.clone();
        Box::pin(async move {
            fetch(&credentials).await.map_err(|error| {
                // Whatever the other side answers, and be it what we sent.
                let error = error.replace(credentials.secret.expose(), "***");
                format!("{}: {error}", credentials.url)
            })
        })
    })
}

async fn fetch(credentials: &ClientCredentials) -> Result<OauthToken, String> {
    let url: Uri = credentials
        .url
        .parse()
        .map_err(|error| format!("no URL: {error}"))?;
    let host = url.host().ok_or("has no host")?;
    let stream = connect(credentials, host, url.port_u16().unwrap_or(443)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends with the answer: the request says so.
    let connection = tokio::spawn(connection);
    let request = request(credentials, &url)?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST)
        .collect()
        .await
        .map_err(|error| format!("reading the answer: {error}"))?
        .to_bytes();
    connection.abort();
    if !status.is_success() {
        let refused: Refused = serde_json::from_slice(&body).unwrap_or_default();
        let said: Vec<&str> = [&*refused.error, &*refused.error_description]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!(": {}", said.join(": "))
        };
        let hint = if status == 400 || status == 401 || status == 403 {
            "; check KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET"
        } else {
            ""
        };
        return Err(format!("answered {}{said}{hint}", status.as_u16()));
    }
    let granted: Granted = serde_json::from_slice(&body)
        // The text of such an error may quote the token.
        .map_err(|_| "the answer is not JSON with an `access_token`".to_owned())?;
    let life = Duration::from_secs(granted.expires_in.unwrap_or(UNTOLD));
    let token = OauthToken::expires_in(granted.access_token, life).principal(&credentials.id);
    Ok(credentials
        .extensions
        .iter()
        .fold(token, |token, (name, value)| token.extension(name, value)))
}

async fn connect(
    credentials: &ClientCredentials,
    host: &str,
    port: u16,
) -> Result<SslStream<TcpStream>, String> {
    let tls = connector(credentials)?
        .configure()
        .and_then(|configured| configured.into_ssl(host))
        .map_err(|error| error.to_string())?;
    let tcp = TcpStream::connect((host, port))
        .await
        .map_err(|error| format!("connecting: {error}"))?;
    let mut stream = SslStream::new(tls, tcp).map_err(|error| error.to_string())?;
    if let Err(error) = Pin::new(&mut stream).connect().await {
        let verified = stream.ssl().verify_result();
        return Err(match verified.error_string() {
            "ok" => format!("TLS: {error}"),
            reason => format!(
                "its certificate is refused: {reason}; give the authority in KAFKA_HTTPS_CA_LOCATION"
            ),
        });
    }
    Ok(stream)
}

fn connector(credentials: &ClientCredentials) -> Result<SslConnector, String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
    let failed = |error: openssl::error::ErrorStack| format!("`https.ca`: {error}");
    if let Some(pem) = &credentials.ca_pem {
        for certificate in X509::stack_from_pem(pem.as_bytes()).map_err(failed)? {
            builder
                .cert_store_mut()
                .add_cert(certificate)
                .map_err(failed)?;
        }
    } else if let Some(path) = &credentials.ca_location {
        let path = Path::new(path);
        let (file, folder) = if path.is_dir() {
            (None, Some(path))
        } else {
            (Some(path), None)
        };
        builder
            .load_verify_locations(file, folder)
            .map_err(failed)?;
    } else {
        // An OpenSSL that was linked in looks where it was built to look, not where this system has them.
        let system = openssl_probe::probe();
        let folder = system.cert_dir.first().map(std::path::PathBuf::as_path);
        if system.cert_file.is_some() || folder.is_some() {
            // A folder that cannot be read is no reason to end: the handshake says what is missing.
            let _ = builder.load_verify_locations(system.cert_file.as_deref(), folder);
        }
    }
    Ok(builder.build())
}

fn request(credentials: &ClientCredentials, url: &Uri) -> Result<Request<Full<Bytes>>, String> {
    let mut form = "grant_type=client_credentials".to_owned();
    if let Some(scope) = &credentials.scope {
        form.push_str("&scope=");
        form.push_str(&encoded(scope));
    }
    let pair = format!(
        "{}:{}",
        encoded(&credentials.id),
        encoded(credentials.secret.expose())
    );
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.authority().map_or("", |authority| authority.as_str());
    Request::post(path)
        .header("host", authority)
        .header("connection", "close")
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!("Basic {}", openssl::base64::encode_block(pair.as_bytes())),
        )
        .body(Full::new(Bytes::from(form)))
        .map_err(|error| error.to_string())
}

/// As a form writes it (RFC 6749 appendix B).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
