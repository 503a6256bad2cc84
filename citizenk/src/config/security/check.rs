//! Combinations of security settings that cannot work, found before anything connects.

use super::super::kafka::ClientSettings;
use super::super::source::Setting;
use super::credentials::{self, ID, SECRET, URL};
use super::{Disk, MECHANISM, METHOD, PROTOCOL, by_librdkafka, find};
use crate::error::ConfigError;
use crate::suggest::did_you_mean;

const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// What has no meaning without TLS.
const TLS: [&str; 9] = [
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
];
const CA: [&str; 2] = ["ssl.ca.pem", "ssl.ca.location"];
const CERTIFICATE: [&str; 2] = ["ssl.certificate.pem", "ssl.certificate.location"];
const KEY: [&str; 2] = ["ssl.key.pem", "ssl.key.location"];
const KEYSTORE: [&str; 1] = ["ssl.keystore.location"];
const USERNAME: &str = "sasl.username";
const PASSWORD: &str = "sasl.password";

/// Checks what one side's clients are given together.
///
/// # Errors
/// Every mistake; no value of a secret is in them.
pub(in crate::config) fn check(settings: &ClientSettings, disk: Option<Disk>) -> Vec<ConfigError> {
    let mut check = Check {
        settings,
        errors: Vec::new(),
    };
    if let Some((tls, sasl)) = check.protocol() {
        check.tls(tls, disk);
        check.sasl(sasl);
    }
    check.errors
}

struct Check<'a> {
    settings: &'a ClientSettings,
    errors: Vec<ConfigError>,
}

impl Check<'_> {
    fn wrong(&mut self, key: &str, setting: &Setting<String>, message: impl Into<String>) {
        let error = setting.source.error(&format!("kafka.{key}"), message);
        self.errors.push(error);
    }

    fn get(&self, key: &'static str) -> Option<Setting<String>> {
        self.settings.get(key).cloned()
    }

    fn find(&self, names: &[&'static str]) -> Option<(String, Setting<String>)> {
        find(self.settings, names).map(|(key, setting)| (key.to_owned(), setting.clone()))
    }

    /// Whether connections are encrypted, and whether clients say who they are; `None` after a mistake.
    fn protocol(&mut self) -> Option<(bool, bool)> {
        let Some(given) = self.get(PROTOCOL) else {
            return Some((false, false));
        };
        let name = given.trim().to_ascii_uppercase();
        if PROTOCOLS.contains(&name.as_str()) {
            return Some((name.ends_with("SSL"), name.starts_with("SASL")));
        }
        let message = format!(
            "unknown protocol `{}`; use {}{}",
            given.trim().escape_debug(),
            PROTOCOLS.join(", "),
            did_you_mean(&name, PROTOCOLS),
        );
        self.wrong(PROTOCOL, &given, message);
        None
    }

    /// The protocol as messages say it.
    fn as_set(&self) -> String {
        match self.get(PROTOCOL) {
            Some(protocol) => format!("it is {} ({})", protocol.trim(), protocol.source),
            None => "it is not set, which means PLAINTEXT".to_owned(),
        }
    }

    fn tls(&mut self, tls: bool, disk: Option<Disk>) {
        if !tls {
            for key in TLS {
                if let Some(setting) = self.get(key) {
                    let message = format!(
                        "has no effect without TLS: set `security.protocol` (KAFKA_SECURITY_PROTOCOL) to SSL or SASL_SSL; {}",
                        self.as_set()
                    );
                    self.wrong(key, &setting, message);
                }
            }
            return;
        }
        for [text, file] in [CA, CERTIFICATE, KEY] {
            let (Some(inline), Some(file_given)) = (self.get(text), self.get(file)) else {
                continue;
            };
            let message = format!(
                "`{file}` is given as well ({}); give one of them",
                file_given.source
            );
            self.wrong(text, &inline, message);
        }
        for [text, file] in [CA, CERTIFICATE, KEY] {
            if let Some(inline) = self.get(text)
                && !inline.contains("-----BEGIN ")
            {
                let message = format!(
                    "is not PEM: it has no line that begins with `-----BEGIN`; for a file use `{file}`"
                );
                self.wrong(text, &inline, message);
            }
        }
        for key in [
            "ssl.ca.location",
            "ssl.certificate.location",
            "ssl.key.location",
            "ssl.keystore.location",
        ] {
            if let (Some(path), Some(Disk)) = (self.get(key), disk)
                && path.trim() != "probe"
                && let Err(message) = Disk::check(path.trim())
            {
                self.wrong(key, &path, message);
            }
        }
        let (certificate, key) = (self.find(&CERTIFICATE), self.find(&KEY));
        match (&certificate, &key) {
            (Some((name, setting)), None) => self.wrong(
                name,
                setting,
                "has no key: set KAFKA_SSL_KEY_LOCATION (a file) or KAFKA_SSL_KEY_PEM",
            ),
            (None, Some((name, setting))) => self.wrong(
                name,
                setting,
                "has no certificate: set KAFKA_SSL_CERTIFICATE_LOCATION (a file) or KAFKA_SSL_CERTIFICATE_PEM",
            ),
            _ => {}
        }
        if let (Some((name, keystore)), Some((other, _))) = (self.find(&KEYSTORE), &certificate) {
            let message = format!("`{other}` is given as well; give one of them");
            self.wrong(&name, &keystore, message);
        }
        if let (Some(password), None) = (self.get("ssl.key.password"), &key) {
            self.wrong(
                "ssl.key.password",
                &password,
                "there is no key it could open: set KAFKA_SSL_KEY_LOCATION or KAFKA_SSL_KEY_PEM",
            );
        }
    }

    fn sasl(&mut self, sasl: bool) {
        let mechanism = self.find(&MECHANISM);
        if !sasl {
            let name = self.get(USERNAME).map(|setting| (USERNAME, setting));
            let password = self.get(PASSWORD).map(|setting| (PASSWORD, setting));
            let given = mechanism
                .iter()
                .map(|(key, setting)| (key.as_str(), setting.clone()))
                .chain(name)
                .chain(password);
            for (key, setting) in given.collect::<Vec<_>>() {
                let message = format!(
                    "has no effect without SASL: set `security.protocol` (KAFKA_SECURITY_PROTOCOL) to SASL_SSL, or to \
                     SASL_PLAINTEXT where nobody else can listen; {}",
                    self.as_set()
                );
                self.wrong(key, &setting, message);
            }
            return;
        }
        let Some((key, mechanism)) = mechanism else {
            if let Some(protocol) = self.get(PROTOCOL) {
                let message = format!(
                    "{} needs a mechanism: set `sasl.mechanism` (KAFKA_SASL_MECHANISM) to {}",
                    protocol.trim(),
                    MECHANISMS.join(", ")
                );
                self.wrong(PROTOCOL, &protocol, message);
            }
            return;
        };
        match mechanism.trim().to_ascii_uppercase().as_str() {
            "OAUTHBEARER" => self.oauth(),
            "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" => self.password(&key, &mechanism),
            // Only a librdkafka of the system can have Kerberos.
            "GSSAPI" if cfg!(feature = "system-librdkafka") => {}
            "GSSAPI" => self.wrong(
                &key,
                &mechanism,
                "Kerberos (GSSAPI) is not built in: build with the feature `system-librdkafka` of citizenk and a \
                 librdkafka that has it",
            ),
            name => {
                let message = format!(
                    "unknown mechanism `{}`; use {}{}",
                    mechanism.trim().escape_debug(),
                    MECHANISMS.join(", "),
                    did_you_mean(name, MECHANISMS),
                );
                self.wrong(&key, &mechanism, message);
            }
        }
    }

    fn password(&mut self, key: &str, mechanism: &Setting<String>) {
        let name = mechanism.trim();
        if self.get(USERNAME).is_none() {
            let message = format!("{name} needs a user name: set KAFKA_SASL_USERNAME");
            self.wrong(key, mechanism, message);
        }
        if self.get(PASSWORD).is_none() {
            let message = format!(
                "{name} needs a password: set KAFKA_SASL_PASSWORD, or KAFKA_SASL_PASSWORD_FILE to a file that has it"
            );
            self.wrong(key, mechanism, message);
        }
    }

    fn oauth(&mut self) {
        for key in [USERNAME, PASSWORD] {
            if let Some(setting) = self.get(key) {
                let message =
                    "OAUTHBEARER has no user name and password: the token says who the client is";
                self.wrong(key, &setting, message);
            }
        }
        if by_librdkafka(self.settings) {
            if !cfg!(feature = "system-librdkafka")
                && let Some(method) = self.get(METHOD)
            {
                self.wrong(
                    METHOD,
                    &method,
                    "librdkafka is built without curl here and cannot get tokens itself; leave this out: with the \
                     same other settings the library gets them (feature `oauth` of citizenk)",
                );
            }
            return;
        }
        let (id, secret, url) = (self.find(&ID), self.find(&SECRET), self.get(URL));
        let given = [
            id.clone(),
            secret.clone(),
            url.clone().map(|setting| (URL.to_owned(), setting)),
        ];
        let Some((first, setting)) = given.iter().flatten().next() else {
            return;
        };
        let parts = [
            (id.is_none(), "KAFKA_SASL_OAUTHBEARER_CLIENT_ID"),
            (secret.is_none(), "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET"),
            (url.is_none(), "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL"),
        ];
        let missing: Vec<&str> = parts
            .into_iter()
            .filter_map(|(missing, name)| missing.then_some(name))
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "a token is had for a client's id and secret at a URL: set {} as well",
                missing.join(" and ")
            );
            self.wrong(first, setting, message);
        }
        if let Some(url) = &url
            && !url.trim().starts_with("https://")
        {
            let message = "must begin with `https://`: the client's secret is sent there";
            self.wrong(URL, url, message);
        }
        if let Some(text) = self.get(credentials::EXTENSIONS)
            && credentials::extensions(&text).is_none()
        {
            let message = "must be NAME=VALUE pairs, joined by commas";
            self.wrong(credentials::EXTENSIONS, &text, message);
        }
        if !cfg!(feature = "oauth") {
            self.wrong(
                first,
                setting,
                "getting tokens needs the feature `oauth` of citizenk; or give the app a function with \
                 `App::oauth_token`",
            );
        }
    }
}
