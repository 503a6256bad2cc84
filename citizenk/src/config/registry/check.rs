//! One registry's texts as settings: what fits, what is wrong, what is unwise.

use super::super::security::Disk;
use super::super::values::{HttpAddress, parse_token};
use super::{
    CA, CERTIFICATE, EMBEDDED, Given, KEY, KEY_PASSWORD, MODE, PASSWORD, Pem, RegistryAuth,
    RegistrySettings, SchemaMode, TIMEOUT, TOKEN, URL, USERNAME, WAIT,
};
use crate::config::secret::Secret;
use crate::config::source::Setting;
use crate::error::ConfigError;
use crate::time::parse_duration;

/// Of one registry.
pub(super) struct Checker<'a> {
    pub(super) path: String,
    pub(super) given: &'a Given,
    pub(super) disk: Option<Disk>,
    pub(super) errors: &'a mut Vec<ConfigError>,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn wrong(&mut self, key: &str, message: impl Into<String>) {
        let source = self.given.get(key).map(|setting| setting.source.clone());
        let path = format!("{}.{key}", self.path);
        self.errors
            .push(source.unwrap_or_default().error(&path, message));
    }

    fn text(&self, key: &str) -> Option<&Setting<String>> {
        self.given.get(key)
    }

    pub(super) fn settings(mut self) -> Option<RegistrySettings> {
        let before = self.errors.len();
        let Some(url) = self.text(URL).cloned() else {
            if let Some(other) = self.given.keys().next().cloned() {
                let message = format!("there is no `{}.{URL}` to use it with", self.path);
                self.wrong(&other, message);
            }
            return None;
        };
        let urls = self.urls(&url);
        let auth = self.auth();
        let ca = self.pem(CA);
        let certificate = self.pem(CERTIFICATE);
        let key = self.pem(KEY);
        match (&certificate, &key) {
            (Some(_), None) => self.wrong(one_of(self.given, CERTIFICATE), "needs the key as well"),
            (None, Some(_)) => self.wrong(one_of(self.given, KEY), "needs the certificate as well"),
            _ => {}
        }
        let timeout = match self.text(WAIT).map(|text| parse_duration(text)) {
            None => TIMEOUT,
            Some(Ok(timeout)) if !timeout.is_zero() => timeout,
            Some(Ok(_)) => {
                self.wrong(WAIT, "must be longer than zero");
                TIMEOUT
            }
            Some(Err(error)) => {
                self.wrong(WAIT, error.to_string());
                TIMEOUT
            }
        };
        let mode = self.text(MODE).map(|text| SchemaMode::parse(text));
        let mode = mode.transpose().unwrap_or_else(|message| {
            self.wrong(MODE, message);
            None
        });
        self.weaknesses(&urls, &auth);
        let key_password = self
            .text(KEY_PASSWORD)
            .map(|setting| Secret::new(&setting.value));
        (self.errors.len() == before).then_some(RegistrySettings {
            urls,
            auth,
            ca,
            certificate,
            key,
            key_password,
            timeout,
            mode,
            source: url.source,
        })
    }

    fn urls(&mut self, setting: &Setting<String>) -> Vec<String> {
        let text = setting.value.trim();
        if text == EMBEDDED {
            return Vec::new();
        }
        let mut urls = Vec::new();
        for url in text.split(',').map(str::trim) {
            let plain = url.strip_prefix("http://").or(url.strip_prefix("https://"));
            let message = match plain {
                // Never printed: it may be a password that somebody pasted with the URL.
                _ if url.contains('@') => {
                    "a URL contains `@`; credentials go into `username` and `password`".to_owned()
                }
                None | Some("") => format!(
                    "`{}` is no URL of a schema registry; write `http://HOST:PORT`, several joined by commas, or \
                     `{EMBEDDED}`",
                    url.escape_debug()
                ),
                Some(rest) if rest.contains(['?', '#']) => {
                    "a URL has a query or a fragment; give the path alone".to_owned()
                }
                Some(_) => {
                    urls.push(url.trim_end_matches('/').to_owned());
                    continue;
                }
            };
            self.wrong(URL, message);
        }
        urls
    }

    fn auth(&mut self) -> RegistryAuth {
        let get = |key: &str| self.text(key).map(|setting| setting.value.clone());
        match (get(USERNAME), get(PASSWORD), get(TOKEN)) {
            (None, None, None) => RegistryAuth::None,
            (Some(username), Some(password), None) => {
                if username.contains(':') {
                    self.wrong(USERNAME, "must not contain `:`");
                }
                RegistryAuth::Basic {
                    username,
                    password: Secret::new(password),
                }
            }
            (None, None, Some(token)) => match parse_token(&token) {
                Ok(token) => RegistryAuth::Bearer(Secret::new(token)),
                Err(message) => {
                    self.wrong(TOKEN, message);
                    RegistryAuth::None
                }
            },
            (Some(_), None, None) => {
                self.wrong(
                    USERNAME,
                    format!("needs `{}.{PASSWORD}` as well", self.path),
                );
                RegistryAuth::None
            }
            (None, Some(_), None) => {
                self.wrong(
                    PASSWORD,
                    format!("needs `{}.{USERNAME}` as well", self.path),
                );
                RegistryAuth::None
            }
            (_, _, Some(_)) => {
                self.wrong(
                    TOKEN,
                    "a name or password is given as well; give one of them",
                );
                RegistryAuth::None
            }
        }
    }

    fn pem(&mut self, [location, text]: [&str; 2]) -> Option<Pem> {
        match (self.text(location).cloned(), self.text(text).cloned()) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let message = format!("`{}.{text}` is given as well; give one of them", self.path);
                self.wrong(location, message);
                None
            }
            (Some(file), None) => {
                if self.disk.is_some()
                    && let Err(message) = Disk::check(file.trim())
                {
                    self.wrong(location, message);
                }
                Some(Pem::File(file.trim().to_owned()))
            }
            (None, Some(pem)) => {
                if !pem.contains("-----BEGIN ") {
                    self.wrong(text, "is no PEM: it has no line `-----BEGIN ..`");
                }
                Some(Pem::Text(Secret::new(pem.value)))
            }
        }
    }

    fn weaknesses(&mut self, urls: &[String], auth: &RegistryAuth) {
        let plain = urls.iter().find(|url| {
            url.strip_prefix("http://")
                .is_some_and(|rest| !is_loopback(rest))
        });
        let Some(plain) = plain else { return };
        if *auth != RegistryAuth::None {
            self.warnings.push(format!(
                "{}: credentials are sent to {plain} without TLS",
                self.path
            ));
        }
    }
}

/// Which of two keys is given.
fn one_of<'a>(given: &Given, keys: [&'a str; 2]) -> &'a str {
    if given.contains_key(keys[0]) {
        keys[0]
    } else {
        keys[1]
    }
}

/// Of what stands behind the scheme.
fn is_loopback(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or_default();
    let address = HttpAddress::parse(host).or_else(|_| HttpAddress::parse(&format!("{host}:80")));
    address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for here in [
            "localhost:8081",
            "localhost",
            "127.0.0.1:8081/api",
            "[::1]",
            "[::1]:8081",
        ] {
            assert!(is_loopback(here), "{here}");
        }
        for there in [
            "localhost.example.com",
            "127.example.com:8081",
            "10.0.0.1",
            "[::2]:1",
            "",
        ] {
            assert!(!is_loopback(there), "{there}");
        }
    }
}
