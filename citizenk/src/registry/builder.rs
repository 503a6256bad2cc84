//! A registry from what a program or its settings say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use openssl::ssl::SslConnector;

use super::client::{Base, Client, LARGEST};
use super::embedded::Shared;
use super::{Inner, Registry};
use crate::config::{Pem, RegistryAuth, Secret};
use crate::error::ConfigError;
use crate::fetch::{Identity, Trust};

/// What a [`Registry`] is made from; begins with [`Registry::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RegistryBuilder {
    urls: String,
    auth: RegistryAuth,
    ca: Option<Pem>,
    certificate: Option<Pem>,
    key: Option<Pem>,
    key_password: Option<Secret>,
    timeout: Duration,
    largest: usize,
}

impl RegistryBuilder {
    pub(super) fn new(urls: &str) -> Self {
        Self {
            urls: urls.to_owned(),
            auth: RegistryAuth::None,
            ca: None,
            certificate: None,
            key: None,
            key_password: None,
            timeout: crate::config::REGISTRY_TIMEOUT,
            largest: LARGEST,
        }
    }

    /// Says who asks by name and password.
    pub fn basic_auth(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.auth = RegistryAuth::Basic {
            username: username.into(),
            password: Secret::new(password),
        };
        self
    }

    /// Says who asks by a token.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.auth = RegistryAuth::Bearer(Secret::new(token));
        self
    }

    /// The authorities that are trusted, PEM: the text itself. Default: the system's.
    pub fn ca_pem(mut self, text: impl Into<String>) -> Self {
        self.ca = Some(Pem::Text(Secret::new(text)));
        self
    }

    /// The authorities that are trusted, PEM: a file or a folder.
    pub fn ca_location(mut self, path: impl Into<String>) -> Self {
        self.ca = Some(Pem::File(path.into()));
        self
    }

    /// This client's certificate and its key, PEM: the texts themselves.
    pub fn identity_pem(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.certificate = Some(Pem::Text(Secret::new(certificate)));
        self.key = Some(Pem::Text(Secret::new(key)));
        self
    }

    /// How long one try at one URL may take, from connecting to the last byte. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many bytes an answer may have. Default: 16 MiB.
    pub fn largest_answer(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    pub(crate) fn settings(settings: &crate::config::RegistrySettings) -> Self {
        Self {
            auth: settings.auth.clone(),
            ca: settings.ca.clone(),
            certificate: settings.certificate.clone(),
            key: settings.key.clone(),
            key_password: settings.key_password.clone(),
            timeout: settings.timeout,
            ..Self::new(&settings.urls.join(","))
        }
    }

    /// A client of a registry in this process.
    pub(super) fn in_process(self, shared: Arc<Shared>) -> Registry {
        self.made(vec![Base::direct(shared)], None)
    }

    /// Reads certificates; connects to nothing yet.
    ///
    /// # Errors
    /// What is wrong with a URL, or cannot be used of the certificates.
    pub fn build(mut self) -> Result<Registry, ConfigError> {
        let mistake = |message: String| ConfigError::new("schema registry", message);
        let bases = self
            .urls
            .split(',')
            .map(|url| Base::parse(url).map_err(|error| mistake(format!("a URL of it {error}"))));
        let bases: Vec<Base> = bases.collect::<Result<_, _>>()?;
        let tls = if bases.iter().any(Base::is_https) {
            let identity = match (self.certificate.take(), self.key.take()) {
                (Some(certificate), Some(key)) => Some(Identity {
                    certificate,
                    key,
                    key_password: self.key_password.take(),
                }),
                _ => None,
            };
            let trust = Trust {
                ca: self.ca.take(),
                identity,
            };
            Some(trust.connector().map_err(mistake)?)
        } else {
            None
        };
        Ok(self.made(bases, tls))
    }

    fn made(self, bases: Vec<Base>, tls: Option<SslConnector>) -> Registry {
        let mut secrets = Vec::new();
        let authorization = match self.auth {
            RegistryAuth::None => None,
            RegistryAuth::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose());
                let pair = openssl::base64::encode_block(pair.as_bytes());
                secrets.extend([password, Secret::new(&pair)]);
                Some(Secret::new(format!("Basic {pair}")))
            }
            RegistryAuth::Bearer(token) => {
                let value = Secret::new(format!("Bearer {}", token.expose()));
                secrets.push(token);
                Some(value)
            }
        };
        secrets.retain(|secret| !secret.expose().is_empty());
        Registry(Arc::new(Inner {
            client: Client {
                bases,
                preferred: AtomicUsize::new(0),
                tls,
                authorization,
                secrets,
                timeout: self.timeout,
                largest: self.largest,
                sent: AtomicU64::new(0),
            },
            ids: Default::default(),
            guids: Default::default(),
            flights: Default::default(),
        }))
    }
}
