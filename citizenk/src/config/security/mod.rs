//! How clients of a cluster prove who they are and whom they trust.
//!
//! In: `KAFKA_<KEY>` variables, flags and the clients' merged settings, all under librdkafka's names. Out: the
//! same for every client of the cluster, checked for combinations that cannot work, and a [`Security`] per
//! cluster, which says where its tokens come from. Secrets have no flag: other users of the machine see those.

mod check;
mod credentials;
#[cfg(all(test, feature = "cli"))]
mod tests;

use std::fmt;

pub(super) use check::check;
pub(crate) use credentials::ClientCredentials;

use super::Flags;
use super::env::{self, Env};
use super::kafka::{self, ClientSettings};
use super::source::{Setting, Source};
use crate::error::ConfigError;

/// Every key of librdkafka that concerns security begins so.
const PREFIXES: [&str; 6] = [
    "security.",
    "sasl.",
    "ssl.",
    "https.ca.",
    "enable.ssl.",
    "enable.sasl.",
];
const PREFIX: &str = "KAFKA_";
const FILE: &str = "_FILE";

/// Names of the mechanism's setting; librdkafka's own is the plural.
const MECHANISM: [&str; 2] = ["sasl.mechanisms", "sasl.mechanism"];
const PROTOCOL: &str = "security.protocol";
const METHOD: &str = "sasl.oauthbearer.method";

/// The security of one cluster's clients.
#[derive(Clone, Default)]
pub(crate) struct Security {
    /// What all its clients have in common.
    settings: ClientSettings,
}

impl Security {
    /// Of the merged settings of a cluster's consumers and producers.
    pub(super) fn of(consumer: &ClientSettings, producer: &ClientSettings) -> Self {
        let settings = consumer
            .iter()
            .filter(|(key, setting)| {
                is_security(key)
                    && producer
                        .get(*key)
                        .is_some_and(|other| other.value == setting.value)
            })
            .map(|(key, setting)| (key.clone(), setting.clone()))
            .collect();
        Self { settings }
    }

    /// The setting that asks for tokens which somebody outside of the client library has to get.
    fn wants_tokens(&self) -> Option<&Setting<String>> {
        let (_, mechanism) = find(&self.settings, &MECHANISM)?;
        let unsigned = self
            .settings
            .get("enable.sasl.oauthbearer.unsecure.jwt")
            .is_some_and(|on| matches!(on.trim(), "true" | "t" | "1"));
        (mechanism.trim().eq_ignore_ascii_case("OAUTHBEARER")
            && !by_librdkafka(&self.settings)
            && !unsigned)
            .then_some(mechanism)
    }

    /// Whether tokens are needed.
    pub(crate) fn needs_tokens(&self) -> bool {
        self.wants_tokens().is_some()
    }

    /// What the settings say about getting tokens.
    pub(crate) fn credentials(&self) -> Option<ClientCredentials> {
        self.wants_tokens()?;
        ClientCredentials::of(&self.settings)
    }

    /// Whether somebody can get the tokens that are needed: the settings, or the program itself.
    ///
    /// # Errors
    /// What to give.
    pub(crate) fn check_tokens(&self, by_program: bool) -> Result<(), ConfigError> {
        match self.wants_tokens() {
            Some(mechanism) if !by_program && self.credentials().is_none() => {
                Err(mechanism.source.error(
                    "kafka.sasl.mechanism",
                    "OAUTHBEARER needs tokens and nobody gets them: set KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL, \
                     KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET, or give the app a \
                     function with `App::oauth_token`",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Security")?;
        f.debug_set().entries(self.settings.keys()).finish()
    }
}

/// The flags that concern security; secrets have none.
///
/// They are for consumers and producers alike; `--consumer` and `--producer` take any of librdkafka's keys for
/// one side.
#[derive(Clone, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Security"))]
pub struct SecurityFlags {
    /// PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL [env: KAFKA_SECURITY_PROTOCOL; default: PLAINTEXT]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PROTOCOL"))]
    pub security_protocol: Option<String>,

    /// PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER [env: KAFKA_SASL_MECHANISM; no default]
    #[cfg_attr(feature = "cli", arg(long, value_name = "MECHANISM"))]
    pub sasl_mechanism: Option<String>,

    /// Name for PLAIN and SCRAM; the password comes from KAFKA_SASL_PASSWORD, or from the file that
    /// KAFKA_SASL_PASSWORD_FILE names [env: KAFKA_SASL_USERNAME]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub sasl_username: Option<String>,

    /// Certificates of the authorities that are trusted, PEM: a file or a folder [env: KAFKA_SSL_CA_LOCATION,
    /// or the text itself in KAFKA_SSL_CA_PEM; default: the system's]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PATH"))]
    pub ssl_ca_location: Option<String>,

    /// This client's certificate, PEM [env: KAFKA_SSL_CERTIFICATE_LOCATION, or KAFKA_SSL_CERTIFICATE_PEM]
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub ssl_certificate_location: Option<String>,

    /// The key of this client's certificate, PEM; its password comes from KAFKA_SSL_KEY_PASSWORD
    /// [env: KAFKA_SSL_KEY_LOCATION, or KAFKA_SSL_KEY_PEM]
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub ssl_key_location: Option<String>,

    /// Where OAUTHBEARER tokens are had for a client's credentials; the secret comes from
    /// KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET [env: KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL]
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL"))]
    pub sasl_oauthbearer_token_endpoint_url: Option<String>,

    /// Who asks for tokens [env: KAFKA_SASL_OAUTHBEARER_CLIENT_ID]
    #[cfg_attr(feature = "cli", arg(long, value_name = "ID"))]
    pub sasl_oauthbearer_client_id: Option<String>,

    /// The scope of the tokens asked for [env: KAFKA_SASL_OAUTHBEARER_SCOPE]
    #[cfg_attr(feature = "cli", arg(long, value_name = "SCOPE"))]
    pub sasl_oauthbearer_scope: Option<String>,
}

impl SecurityFlags {
    /// Flag, key, value.
    fn all(&self) -> [(&'static str, &'static str, &Option<String>); 9] {
        [
            (
                "--security-protocol",
                "security.protocol",
                &self.security_protocol,
            ),
            ("--sasl-mechanism", "sasl.mechanism", &self.sasl_mechanism),
            ("--sasl-username", "sasl.username", &self.sasl_username),
            (
                "--ssl-ca-location",
                "ssl.ca.location",
                &self.ssl_ca_location,
            ),
            (
                "--ssl-certificate-location",
                "ssl.certificate.location",
                &self.ssl_certificate_location,
            ),
            (
                "--ssl-key-location",
                "ssl.key.location",
                &self.ssl_key_location,
            ),
            (
                "--sasl-oauthbearer-token-endpoint-url",
                "sasl.oauthbearer.token.endpoint.url",
                &self.sasl_oauthbearer_token_endpoint_url,
            ),
            (
                "--sasl-oauthbearer-client-id",
                "sasl.oauthbearer.client.id",
                &self.sasl_oauthbearer_client_id,
            ),
            (
                "--sasl-oauthbearer-scope",
                "sasl.oauthbearer.scope",
                &self.sasl_oauthbearer_scope,
            ),
        ]
    }

    /// The names of those that are given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        self.all()
            .into_iter()
            .filter(|(_, _, value)| value.is_some())
            .map(|(flag, _, _)| flag)
    }

    pub(super) fn settings(&self) -> ClientSettings {
        self.all()
            .into_iter()
            .filter_map(|(flag, key, value)| {
                let setting = Setting::new(value.clone()?, Source::Flag(flag));
                Some((key.to_owned(), setting))
            })
            .collect()
    }
}

// Also a name may be something that its owner does not want in a log.
impl fmt::Debug for SecurityFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecurityFlags")?;
        f.debug_set().entries(self.given()).finish()
    }
}

/// What reads the disk; left out where settings are resolved from plain data alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk;

impl Disk {
    pub(super) fn read(path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read `{path}`: {error}"))
    }

    /// Whether the client will be able to read the file or folder.
    pub(super) fn check(path: &str) -> Result<(), String> {
        let looked = match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => std::fs::read_dir(path).map(|_| ()),
            Ok(_) => std::fs::File::open(path).map(|_| ()),
            Err(error) => Err(error),
        };
        looked.map_err(|error| format!("cannot read `{path}`: {error}"))
    }
}

/// Whether the key of librdkafka concerns security.
pub(super) fn is_security(key: &str) -> bool {
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// What a variable sets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Variable {
    Key(String),
    /// It names a file with the value of this key.
    FileOf(String),
}

fn variable(name: &str) -> Option<Variable> {
    let key_of = |suffix: &str| {
        let key = kafka::from_env_suffix(suffix);
        (is_security(&key) && kafka::given_by_operator(&key)).then_some(key)
    };
    let suffix = name.strip_prefix(PREFIX)?;
    if let Some(key) = key_of(suffix) {
        return Some(Variable::Key(key));
    }
    let key = key_of(suffix.strip_suffix(FILE)?)?;
    kafka::is_hidden(&key).then_some(Variable::FileOf(key))
}

/// Whether `KAFKA_...` is one of ours.
pub(super) fn is_variable(name: &str) -> bool {
    variable(name).is_some()
}

/// The names of all variables, for a hint.
pub(super) fn variables() -> impl Iterator<Item = String> {
    kafka::operator_keys()
        .filter(|key| is_security(key))
        .map(|key| format!("{PREFIX}{}", kafka::env_suffix(key)))
}

/// The variables that concern every client.
pub(super) fn from_env(
    env: &Env,
    disk: Option<Disk>,
    errors: &mut Vec<ConfigError>,
) -> ClientSettings {
    let mut settings = ClientSettings::new();
    for name in env.keys() {
        let (Some(variable), Some(value)) = (variable(name), env::get(env, name)) else {
            continue;
        };
        let source = Source::Env(name.clone());
        match variable {
            Variable::Key(key) => {
                let text = if key.ends_with(".pem") && !value.contains('\n') {
                    // As it comes from files of variables, which have one line each.
                    value.replace("\\n", "\n")
                } else {
                    value.to_owned()
                };
                settings.insert(key, Setting::new(text, source));
            }
            Variable::FileOf(key) => {
                let direct = format!("{PREFIX}{}", kafka::env_suffix(&key));
                if env::get(env, &direct).is_some() {
                    let message = format!("{direct} is set as well; set one of them");
                    errors.push(source.error(&key, message));
                    continue;
                }
                let read = match disk {
                    Some(Disk) => Disk::read(value),
                    None => Err("files are not read here; set the value itself".to_owned()),
                };
                match read {
                    // The line's end is the editor's, not the secret's.
                    Ok(text) if key.ends_with(".pem") => {
                        settings.insert(key, Setting::new(text, source));
                    }
                    Ok(text) => {
                        let text = text.trim_end_matches(['\n', '\r']).to_owned();
                        settings.insert(key, Setting::new(text, source));
                    }
                    Err(message) => errors.push(source.error(&key, message)),
                }
            }
        }
    }
    settings
}

/// The setting under any of its names.
fn find<'a>(
    settings: &'a ClientSettings,
    names: &[&str],
) -> Option<(&'a str, &'a Setting<String>)> {
    names.iter().find_map(|name| {
        let (key, setting) = settings.get_key_value(*name)?;
        Some((key.as_str(), setting))
    })
}

/// Whether the operator wants librdkafka itself to get tokens, which it can where it was built with curl.
fn by_librdkafka(settings: &ClientSettings) -> bool {
    settings
        .get(METHOD)
        .is_some_and(|method| method.trim().eq_ignore_ascii_case("oidc"))
}

/// Whether the client library is to be given the setting; what we do ourselves it would refuse.
pub(crate) fn for_client(settings: &ClientSettings, key: &str) -> bool {
    by_librdkafka(settings) || !credentials::is_ours(key)
}

/// The flags of a cluster's security.
pub(super) fn from_flags(flags: &Flags) -> ClientSettings {
    flags.security.settings()
}
