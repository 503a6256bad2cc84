//! A token for client credentials (RFC 6749 §4.4): one POST over HTTPS.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;

use super::{OauthToken, TokenSource};
use crate::config::{ClientCredentials, Pem, Secret};
use crate::fetch::{self, Ask, Failed, Target, Trust};

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
    let target = Target::parse(&credentials.url)?;
    let connector = trust(credentials)
        .connector()
        .map_err(|error| format!("`https.ca`: {error}"))?;
    let (form, authorization) = (form(credentials), authorization(credentials));
    let ask = Ask {
        method: Method::POST,
        path: &target.path,
        headers: &[
            ("accept", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", &authorization),
        ],
        body: Bytes::from(form),
        largest: LARGEST,
    };
    let answer =
        fetch::send(&target, Some(&connector), ask)
            .await
            .map_err(|error| match error {
                Failed::Certificate(_) => {
                    format!("{error}; give the authority in KAFKA_HTTPS_CA_LOCATION")
                }
                error => error.to_string(),
            })?;
    if !(200..300).contains(&answer.status) {
        return Err(refusal(answer.status, &answer.body));
    }
    let granted: Granted = serde_json::from_slice(&answer.body)
        // The text of such an error may quote the token.
        .map_err(|_| "the answer is not JSON with an `access_token`".to_owned())?;
    let life = Duration::from_secs(granted.expires_in.unwrap_or(UNTOLD));
    let token = OauthToken::expires_in(granted.access_token, life).principal(&credentials.id);
    Ok(credentials
        .extensions
        .iter()
        .fold(token, |token, (name, value)| token.extension(name, value)))
}

fn refusal(status: u16, body: &[u8]) -> String {
    let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
    let said: Vec<&str> = [&*refused.error, &*refused.error_description]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {}", said.join(": "))
    };
    let hint = if matches!(status, 400 | 401 | 403) {
        "; check KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET"
    } else {
        ""
    };
    format!("answered {status}{said}{hint}")
}

fn trust(credentials: &ClientCredentials) -> Trust {
    let text = credentials
        .ca_pem
        .clone()
        .map(|text| Pem::Text(Secret::new(text)));
    Trust {
        ca: text.or_else(|| credentials.ca_location.clone().map(Pem::File)),
        identity: None,
    }
}

fn form(credentials: &ClientCredentials) -> String {
    let mut form = "grant_type=client_credentials".to_owned();
    if let Some(scope) = &credentials.scope {
        form.push_str("&scope=");
        form.push_str(&encoded(scope));
    }
    form
}

fn authorization(credentials: &ClientCredentials) -> String {
    let pair = format!(
        "{}:{}",
        encoded(&credentials.id),
        encoded(credentials.secret.expose())
    );
    format!("Basic {}", openssl::base64::encode_block(pair.as_bytes()))
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
