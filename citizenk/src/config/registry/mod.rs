//! Where schemas are registered: `[registry]`, `[registries.NAME]`, `SCHEMA_REGISTRY_*`.
//!
//! In: texts by key, from file, environment and one flag. Out: a [`RegistrySettings`] per registry, checked. The
//! one without a name is called `default`. Secrets have no flag: other users of the machine see those.

mod check;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use self::check::Checker;
use super::env::{self, Env};
use super::secret::Secret;
use super::security::Disk;
use super::source::{Setting, Source};
use crate::error::ConfigError;
use crate::suggest::did_you_mean;

/// The registry of topics that name none.
pub(crate) const DEFAULT: &str = "default";
/// One try at one URL.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// In place of a URL: the registry inside this process.
const EMBEDDED: &str = "embedded";

pub(super) const PREFIX: &str = "SCHEMA_REGISTRY_";
const FILE: &str = "_FILE";
const FLAG: &str = "--schema-registry-url";

const URL: &str = "url";
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const TOKEN: &str = "token";
const WAIT: &str = "timeout";
const CA: [&str; 2] = ["ssl.ca.location", "ssl.ca.pem"];
const CERTIFICATE: [&str; 2] = ["ssl.certificate.location", "ssl.certificate.pem"];
const KEY: [&str; 2] = ["ssl.key.location", "ssl.key.pem"];
const KEY_PASSWORD: &str = "ssl.key.password";
const MODE: &str = "mode";

const KEYS: [&str; 13] = [
    URL,
    USERNAME,
    PASSWORD,
    TOKEN,
    WAIT,
    CA[0],
    CA[1],
    CERTIFICATE[0],
    CERTIFICATE[1],
    KEY[0],
    KEY[1],
    KEY_PASSWORD,
    MODE,
];

/// Printed as `***`, and may come from a file that a variable names.
fn is_hidden(key: &str) -> bool {
    [PASSWORD, TOKEN, KEY_PASSWORD].contains(&key) || key.ends_with(".pem")
}

/// What is said about one registry, by key.
pub(super) type Given = BTreeMap<String, Setting<String>>;
/// The same for each registry, by name.
pub(super) type AllGiven = BTreeMap<String, Given>;

/// PEM: a file or a folder, or the text itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Pem {
    File(String),
    Text(Secret),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// How a topic's own schema gets its id, when the service starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemaMode {
    /// Registers the schema if it is compatible with those that are there.
    #[default]
    AutoRegister,
    /// Registers nothing and uses the newest version, which must say the same about the bytes.
    UseLatest,
    /// Registers nothing: somebody must have done it, e.g. a pipeline with `schemas register`.
    CheckOnly,
}

impl SchemaMode {
    const NAMES: [(&'static str, Self); 3] = [
        ("auto_register", Self::AutoRegister),
        ("use_latest", Self::UseLatest),
        ("check_only", Self::CheckOnly),
    ];

    fn parse(text: &str) -> Result<Self, String> {
        let wanted = text.trim().replace('-', "_");
        let found = Self::NAMES.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            format!(
                "`{}` is no mode; write auto_register, use_latest or check_only",
                text.escape_debug()
            )
        })
    }
}

/// How a client says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RegistryAuth {
    None,
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

/// One registry.
#[derive(Clone, Debug)]
pub(crate) struct RegistrySettings {
    /// None: the registry inside this process.
    pub(crate) urls: Vec<String>,
    pub(crate) auth: RegistryAuth,
    pub(crate) ca: Option<Pem>,
    pub(crate) certificate: Option<Pem>,
    pub(crate) key: Option<Pem>,
    pub(crate) key_password: Option<Secret>,
    pub(crate) timeout: Duration,
    /// Of topics that say none.
    pub(crate) mode: Option<SchemaMode>,
    /// Of the URL.
    pub(crate) source: Source,
}

/// The registries there are.
#[derive(Clone, Default)]
pub(crate) struct Registries {
    given: AllGiven,
    by_name: BTreeMap<String, RegistrySettings>,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

impl Registries {
    pub(crate) fn get(&self, name: &str) -> Option<&RegistrySettings> {
        self.by_name.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// That there is no registry of this name, and what to do.
    pub(crate) fn unknown(&self, name: &str) -> String {
        if name == DEFAULT {
            return format!(
                "no schema registry is given; set {PREFIX}URL, or pass `{FLAG} URL`, or `url` below `[registry]`"
            );
        }
        let known: Vec<&str> = self.names().collect();
        let known = if known.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        format!(
            "no schema registry `{}` is given{}; {known}; set {PREFIX}{}_URL, or `url` below `[registries.{name}]`",
            name.escape_debug(),
            did_you_mean(name, self.names()),
            name.to_ascii_uppercase(),
        )
    }

    /// Path, value as it may be printed, source.
    pub(super) fn printable(&self) -> impl Iterator<Item = (String, &str, &Source)> {
        self.given.iter().flat_map(|(name, given)| {
            given.iter().map(move |(key, setting)| {
                let value = if is_hidden(key) {
                    super::printable::MASK
                } else {
                    setting.value.as_str()
                };
                (format!("{}.{key}", path(name)), value, &setting.source)
            })
        })
    }
}

/// The table of the settings file.
fn path(name: &str) -> String {
    if name == DEFAULT {
        "registry".to_owned()
    } else {
        format!("registries.{name}")
    }
}

/// Names are the same in every place, so that a variable can name them.
fn check_name(name: &str) -> Result<(), String> {
    let shown = name.escape_debug();
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !fits {
        return Err(format!(
            "`{shown}` is no name of a registry; lower-case letters, digits and `_` are allowed, a letter first"
        ));
    }
    // `SSL_KEY_PASSWORD` is the password of a key, never of a registry `ssl_key`.
    if name == DEFAULT || name == "ssl_key" || name.ends_with("_ssl_key") {
        return Err(format!(
            "`{shown}` cannot be the name of a registry; choose another"
        ));
    }
    Ok(())
}

/// What a variable says: registry, key, whether it names a file with the value.
fn variable(name: &str) -> Option<(String, &'static str, bool)> {
    let rest = name.strip_prefix(PREFIX)?;
    let found = |rest: &str| {
        let lower = rest.to_ascii_lowercase();
        KEYS.into_iter().find_map(|key| {
            let registry = match lower.strip_suffix(&key.replace('.', "_"))? {
                "" => DEFAULT,
                before => before
                    .strip_suffix('_')
                    .filter(|name| check_name(name).is_ok())?,
            };
            Some((registry.to_owned(), key))
        })
    };
    if let Some((registry, key)) = found(rest) {
        return Some((registry, key, false));
    }
    let (registry, key) = found(rest.strip_suffix(FILE)?)?;
    is_hidden(key).then_some((registry, key, true))
}

/// Whether `SCHEMA_REGISTRY_...` is one of ours.
pub(super) fn is_variable(name: &str) -> bool {
    variable(name).is_some()
}

/// The variables of the registry without a name, behind the prefix: for a hint.
pub(super) fn suffixes() -> impl Iterator<Item = String> {
    KEYS.into_iter()
        .map(|key| key.replace('.', "_").to_ascii_uppercase())
}

/// Puts the flag over the environment over the file, and checks the result.
pub(super) fn resolve(
    file: AllGiven,
    env: &Env,
    flag: Option<&str>,
    disk: Option<Disk>,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<String>,
) -> Registries {
    let mut given = checked(file, errors);
    for name in env.keys() {
        let (Some((registry, key, from_file)), Some(value)) = (variable(name), env::get(env, name))
        else {
            continue;
        };
        let source = Source::Env(name.clone());
        let mut text = value.to_owned();
        if from_file {
            let direct = name.strip_suffix(FILE).unwrap_or_default();
            if env::get(env, direct).is_some() {
                errors.push(source.error(key, format!("{direct} is set as well; set one of them")));
                continue;
            }
            let read = match disk {
                Some(Disk) => Disk::read(value),
                None => Err("files are not read here; set the value itself".to_owned()),
            };
            match read {
                // The line's end is the editor's, not the secret's.
                Ok(read) => read.trim_end_matches(['\n', '\r']).clone_into(&mut text),
                Err(message) => {
                    errors.push(source.error(key, message));
                    continue;
                }
            }
        } else if key.ends_with(".pem") && !text.contains('\n') {
            // As it comes from files of variables, which have one line each.
            text = text.replace("\\n", "\n");
        }
        let place = given.entry(registry).or_default();
        place.insert(key.to_owned(), Setting::new(text, source));
    }
    if let Some(urls) = flag {
        let place = given.entry(DEFAULT.to_owned()).or_default();
        place.insert(
            URL.to_owned(),
            Setting::new(urls.to_owned(), Source::Flag(FLAG)),
        );
    }
    // Programs of others have such variables too (SCHEMA_REGISTRY_KAFKASTORE_SSL_KEY_PASSWORD).
    given.retain(|name, given| {
        let from_file = given
            .values()
            .any(|setting| matches!(setting.source, Source::File { .. }));
        name == DEFAULT || given.contains_key(URL) || from_file
    });
    let mut by_name = BTreeMap::new();
    for (name, given) in &given {
        let checker = Checker {
            path: path(name),
            given,
            disk,
            errors,
            warnings,
        };
        if let Some(settings) = checker.settings() {
            by_name.insert(name.clone(), settings);
        }
    }
    Registries { given, by_name }
}

/// What the file says, without what nobody knows.
fn checked(file: AllGiven, errors: &mut Vec<ConfigError>) -> AllGiven {
    let mut kept = AllGiven::new();
    for (name, given) in file {
        let path = path(&name);
        if name != DEFAULT
            && let Err(message) = check_name(&name)
        {
            let source = given.into_values().next().map(|setting| setting.source);
            errors.push(source.unwrap_or_default().error(&path, message));
            continue;
        }
        let place = kept.entry(name).or_default();
        for (key, setting) in given {
            // Also as variables write it.
            let dotted = KEYS
                .into_iter()
                .find(|known| known.replace('.', "_") == key.replace('.', "_"));
            match dotted {
                Some(known) => drop(place.insert(known.to_owned(), setting)),
                None => {
                    let hint = did_you_mean(&key, KEYS);
                    let hint = if hint.is_empty() {
                        format!("; known are {}", KEYS.join(", "))
                    } else {
                        hint
                    };
                    let message = format!("unknown key{hint}");
                    errors.push(setting.source.error(&format!("{path}.{key}"), message));
                }
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_a_registry_and_a_key() {
        let read = |name: &str| {
            variable(name).map(|(registry, key, file)| format!("{registry} {key} {file}"))
        };
        for (name, expected) in [
            ("SCHEMA_REGISTRY_URL", Some("default url false")),
            (
                "SCHEMA_REGISTRY_PASSWORD_FILE",
                Some("default password true"),
            ),
            (
                "SCHEMA_REGISTRY_SSL_KEY_PASSWORD",
                Some("default ssl.key.password false"),
            ),
            ("SCHEMA_REGISTRY_SOURCE_URL", Some("source url false")),
            (
                "SCHEMA_REGISTRY_SOURCE_SSL_KEY_PASSWORD",
                Some("source ssl.key.password false"),
            ),
            (
                "SCHEMA_REGISTRY_TEAM_2_SSL_CA_LOCATION",
                Some("team_2 ssl.ca.location false"),
            ),
            (
                "SCHEMA_REGISTRY_SOURCE_TOKEN_FILE",
                Some("source token true"),
            ),
            ("SCHEMA_REGISTRY_MODE", Some("default mode false")),
            // Of the registry's own program.
            ("SCHEMA_REGISTRY_MODE_MUTABILITY", None),
            ("SCHEMA_REGISTRY_URL_FILE", None),
            ("SCHEMA_REGISTRY_HOST_NAME", None),
            // What Kubernetes sets for a service of this name.
            ("SCHEMA_REGISTRY_SERVICE_HOST", None),
            ("SCHEMA_REGISTRY_PORT_8081_TCP_ADDR", None),
        ] {
            assert_eq!(read(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn names_that_a_variable_could_not_tell_apart_are_refused() {
        for name in ["", "Source", "a-b", "2", "default", "ssl_key", "_a"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for name in ["source", "team_2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }
}
