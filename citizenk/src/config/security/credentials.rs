//! Client credentials (RFC 6749 §4.4): what is needed to ask an identity provider for a token.

use std::collections::BTreeMap;
use std::fmt;

use super::super::kafka::ClientSettings;
use super::super::secret::Secret;
use super::find;

pub(super) const URL: &str = "sasl.oauthbearer.token.endpoint.url";
pub(super) const ID: [&str; 2] = [
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.credentials.client.id",
];
pub(super) const SECRET: [&str; 2] = [
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
];
const SCOPE: &str = "sasl.oauthbearer.scope";
pub(super) const EXTENSIONS: &str = "sasl.oauthbearer.extensions";
const CA: [&str; 2] = ["https.ca.location", "https.ca.pem"];

/// Who asks whom for tokens.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "oauth"),
    allow(
        dead_code,
        reason = "read by the feature `oauth`, without which it is refused"
    )
)]
pub(crate) struct ClientCredentials {
    pub(crate) url: String,
    pub(crate) id: String,
    pub(crate) secret: Secret,
    pub(crate) scope: Option<String>,
    /// Sent to the broker beside the token.
    pub(crate) extensions: BTreeMap<String, String>,
    /// A file of certificates that are trusted at the token's endpoint, or their text; otherwise the system's.
    pub(crate) ca_location: Option<String>,
    pub(crate) ca_pem: Option<String>,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCredentials")
    }
}

/// Keys by which we get tokens ourselves: librdkafka built without curl does not know them.
pub(super) fn is_ours(key: &str) -> bool {
    key == URL
        || key == SCOPE
        || key == EXTENSIONS
        || ID.contains(&key)
        || SECRET.contains(&key)
        || CA.contains(&key)
}

impl ClientCredentials {
    /// `None` where something is missing, which the check of the settings has said.
    pub(super) fn of(settings: &ClientSettings) -> Option<Self> {
        let text = |key: &str| {
            settings
                .get(key)
                .map(|setting| setting.value.trim().to_owned())
        };
        let (_, id) = find(settings, &ID)?;
        let (_, secret) = find(settings, &SECRET)?;
        Some(Self {
            url: text(URL)?,
            id: id.value.clone(),
            secret: Secret::new(secret.value.clone()),
            scope: text(SCOPE),
            extensions: text(EXTENSIONS)
                .and_then(|text| extensions(&text))
                .unwrap_or_default(),
            ca_location: text(CA[0]),
            ca_pem: text(CA[1]),
        })
    }
}

/// Reads `name=value,name=value`.
pub(super) fn extensions(text: &str) -> Option<BTreeMap<String, String>> {
    text.split(',')
        .map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (!name.is_empty() && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        })
        .collect()
}
