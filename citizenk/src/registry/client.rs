//! One request to the first URL that answers, and what the answer means.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use openssl::ssl::SslConnector;
use serde::Deserialize;
use serde_json::Value;

use super::embedded::Shared;
use super::error::RegistryError;
use crate::config::Secret;
use crate::fetch::{self, Answer, Ask, Failed, Target};
use crate::schema::SchemaId;

/// What the registry's answers have as their type.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// No answer is larger: a schema is some kilobytes, a list of subjects may be long.
pub(super) const LARGEST: usize = 16 * 1024 * 1024;
/// How much of what a server says is repeated.
const LONGEST_MESSAGE: usize = 500;

pub(super) struct Client {
    pub(super) bases: Vec<Base>,
    /// Which one answered last.
    pub(super) preferred: AtomicUsize,
    pub(super) tls: Option<SslConnector>,
    /// The value of the header.
    pub(super) authorization: Option<Secret>,
    /// What no message may repeat.
    pub(super) secrets: Vec<Secret>,
    /// For one try at one URL.
    pub(super) timeout: Duration,
    pub(super) largest: usize,
    pub(super) sent: AtomicU64,
}

/// One of the ways to the registry.
pub(super) struct Base {
    pub(super) way: Way,
    pub(super) shown: String,
}

pub(super) enum Way {
    /// A URL, its path without a `/` at the end.
    Http(Target),
    /// In this process.
    Direct(Arc<Shared>),
}

impl Base {
    /// # Errors
    /// What is wrong with the URL.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let mut target = Target::parse(url)?;
        if target.path.contains('?') {
            return Err("must not have a query".to_owned());
        }
        target
            .path
            .truncate(target.path.trim_end_matches('/').len());
        Ok(Self {
            shown: target.to_string(),
            way: Way::Http(target),
        })
    }

    pub(super) fn direct(shared: Arc<Shared>) -> Self {
        Self {
            way: Way::Direct(shared),
            shown: "the registry inside this process".to_owned(),
        }
    }

    pub(super) fn is_https(&self) -> bool {
        matches!(&self.way, Way::Http(target) if target.https)
    }
}

/// What is asked for, for messages.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Subject(&'a str),
    Version(&'a str, &'a str),
    Id(SchemaId),
    All,
}

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => write!(f, "subject `{subject}`"),
            Self::Version(subject, version) => {
                write!(f, "version {version} of subject `{subject}`")
            }
            Self::Id(id @ SchemaId::Number(_)) => write!(f, "schema id {id}"),
            Self::Id(id @ SchemaId::Guid(_)) => write!(f, "schema GUID {id}"),
            Self::All => f.write_str("what was asked for"),
        }
    }
}

/// What an answer that is no success says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    error_code: u64,
    message: String,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<&str> = self.bases.iter().map(|base| base.shown.as_str()).collect();
        f.write_str(&shown.join(","))
    }
}

impl Client {
    pub(super) fn requests(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) async fn get(&self, path: &str, what: What<'_>) -> Result<Value, RegistryError> {
        self.call(Method::GET, path, None, what).await
    }

    pub(super) async fn post(
        &self,
        path: &str,
        body: &Value,
        what: What<'_>,
    ) -> Result<Value, RegistryError> {
        self.call(Method::POST, path, Some(body), what).await
    }

    pub(super) async fn put(
        &self,
        path: &str,
        body: &Value,
        what: What<'_>,
    ) -> Result<Value, RegistryError> {
        self.call(Method::PUT, path, Some(body), what).await
    }

    /// Goes to the next URL when nobody answers or the answer is 5xx: another one of the same registry may do
    /// better then. Every other answer is the registry's.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        what: What<'_>,
    ) -> Result<Value, RegistryError> {
        let body = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        for step in 0..self.bases.len() {
            let index = (first + step) % self.bases.len();
            let base = &self.bases[index];
            match self.once(base, &method, path, body.clone()).await {
                Ok(Ok(answer)) => {
                    if step > 0 {
                        self.preferred.store(index, Ordering::Relaxed);
                        tracing::warn!(
                            url = base.shown,
                            "another URL of the schema registry is used: {}",
                            tried.join("; ")
                        );
                    }
                    return self.read(base, &answer, what);
                }
                Ok(Err(reason)) => return Err(self.unexpected(base, &reason)),
                Err(reason) => tried.push(format!("{}: {}", base.shown, self.clean(&reason))),
            }
        }
        Err(RegistryError::Unavailable { tried })
    }

    /// An answer that counts, or one that is none (`Ok(Err)`), or none of this URL (`Err`).
    async fn once(
        &self,
        base: &Base,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<Result<Answer, String>, String> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let authorization = self.authorization.as_ref().map(Secret::expose);
        let sending = async {
            match &base.way {
                Way::Direct(shared) => Ok(shared.answer(method, path, authorization, &body).await),
                Way::Http(target) => self.send(target, method, path, authorization, body).await,
            }
        };
        let answer = match tokio::time::timeout(self.timeout, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error @ Failed::TooLarge(_))) => return Ok(Err(error.to_string())),
            Ok(Err(error @ Failed::Certificate(_))) => {
                return Err(format!(
                    "{error}; give the authority in SCHEMA_REGISTRY_SSL_CA_LOCATION"
                ));
            }
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => {
                return Err(format!("no answer within {} s", self.timeout.as_secs_f64()));
            }
        };
        if answer.status >= 500 {
            let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
            let colon = if said.message.is_empty() { "" } else { ": " };
            return Err(format!("answered {}{colon}{}", answer.status, said.message));
        }
        Ok(Ok(answer))
    }

    async fn send(
        &self,
        target: &Target,
        method: &Method,
        path: &str,
        authorization: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, Failed> {
        let mut headers = vec![(
            "accept",
            "application/vnd.schemaregistry.v1+json, application/json",
        )];
        if !body.is_empty() {
            headers.push(("content-type", MEDIA_TYPE));
        }
        headers.extend(authorization.map(|value| ("authorization", value)));
        let ask = Ask {
            method: method.clone(),
            path: &format!("{}{path}", target.path),
            headers: &headers,
            body,
            largest: self.largest,
        };
        fetch::send(target, self.tls.as_ref(), ask).await
    }

    fn read(&self, base: &Base, answer: &Answer, what: What<'_>) -> Result<Value, RegistryError> {
        let status = answer.status;
        match status {
            200..300 => {
                // The text of such an error could repeat what is there.
                return serde_json::from_slice(&answer.body)
                    .map_err(|_| self.unexpected(base, "the answer is no JSON"));
            }
            300..400 => {
                let reason = format!(
                    "answered {status}, and redirects are not followed; give the URL it should be"
                );
                return Err(self.unexpected(base, &reason));
            }
            _ => {}
        }
        let url = base.shown.clone();
        let said: Said = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (code, message) = (said.error_code, self.clean(&said.message));
        Err(match (status, code) {
            (401 | 403, _) => RegistryError::Unauthorized {
                url,
                status,
                message,
            },
            (404, 40_400..41_000) => RegistryError::NotFound {
                url,
                what: what.to_string(),
                code,
                message,
            },
            (404, _) => RegistryError::Refused {
                url,
                status,
                message: "it is no schema registry, or one below another path".to_owned(),
            },
            (409, _) => RegistryError::Incompatible {
                subject: match what {
                    What::Subject(subject) | What::Version(subject, _) => subject.to_owned(),
                    What::Id(_) | What::All => String::new(),
                },
                message,
            },
            (422, _) => RegistryError::Invalid {
                url,
                what: what.to_string(),
                code,
                message,
            },
            _ => RegistryError::Refused {
                url,
                status,
                message,
            },
        })
    }

    pub(super) fn unexpected(&self, base: &Base, reason: &str) -> RegistryError {
        RegistryError::Unexpected {
            url: base.shown.clone(),
            reason: self.clean(reason),
        }
    }

    /// An answer that lacks something.
    pub(super) fn incomplete(&self, what: What<'_>) -> RegistryError {
        let index = self.preferred.load(Ordering::Relaxed);
        self.unexpected(
            &self.bases[index],
            &format!("the answer about {what} is not that of a schema registry"),
        )
    }

    /// Whatever the other side says, and be it what we sent: no secrets, no control characters, not too much.
    fn clean(&self, text: &str) -> String {
        let hidden = self.secrets.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.expose(), crate::config::MASK)
        });
        let mut clean: String = hidden
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST_MESSAGE)
            .collect();
        if clean.len() < hidden.len() {
            clean.push_str("..");
        }
        clean
    }
}
