//! Flags over environment over file over defaults.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::app::{AppSettings, AppVar};
use super::clusters::{Clusters, Given, Sources};
use super::env::{self, Env};
use super::file::{FileSettings, Reader};
use super::profile::Profile;
use super::registry;
use super::security::{Disk, Security};
use super::values::{parse_bool, parse_group, parse_pair, parse_prefix, parse_token};
use super::{
    CheckTopics, Flags, HttpAddress, HttpSettings, LogFormat, Secret, Setting, Settings, Source,
    tree,
};
use crate::error::ConfigError;
use crate::suggest::did_you_mean;
use crate::time::parse_duration;

/// A token shorter than this can be guessed.
const SHORT_TOKEN: usize = 16;

impl Settings {
    /// Reads the process's environment and the settings file that a flag or a variable names, then
    /// [resolves](Self::resolve).
    ///
    /// # Errors
    /// Every mistake; a file that cannot be read is one.
    pub fn load(flags: Flags) -> Result<Self, Vec<ConfigError>> {
        let env: Env = std::env::vars_os()
            .filter_map(|(name, value)| {
                // A value that is no UTF-8 is mangled here and refused where it is used.
                Some((
                    name.into_string().ok()?,
                    value.to_string_lossy().into_owned(),
                ))
            })
            .collect();
        Self::from_disk(flags, &env)
    }

    /// As [`Settings::load`], with this environment.
    pub(crate) fn from_disk(flags: Flags, env: &Env) -> Result<Self, Vec<ConfigError>> {
        let file = match (&flags.config, env::get(env, env::CONFIG)) {
            (Some(path), _) => Some((path.clone(), Source::Flag("--config"))),
            (None, Some(path)) => Some((path.to_owned(), Source::Env(env::CONFIG.to_owned()))),
            (None, None) => None,
        };
        let Some((path, source)) = file else {
            return Self::resolved(flags, env, None, Some(Disk));
        };
        match std::fs::read_to_string(Path::new(&path)) {
            Ok(text) => Self::resolved(flags, env, Some((&path, &text)), Some(Disk)),
            Err(error) => {
                let unreadable = source.error("config", format!("cannot read `{path}`: {error}"));
                // The rest of the mistakes as well, so that they can be mended in one go.
                let others = Self::resolved(flags, env, None, Some(Disk))
                    .err()
                    .unwrap_or_default();
                Err(std::iter::once(unreadable).chain(others).collect())
            }
        }
    }

    /// Puts flags over `env` over the settings file (its path, for messages, and its text) over the
    /// defaults. Pure: no file is read, so a variable that names one (`KAFKA_SASL_PASSWORD_FILE`) is refused.
    ///
    /// # Errors
    /// Every mistake, in a stable order; each names the flag, variable or line at fault.
    pub fn resolve(
        flags: Flags,
        env: &BTreeMap<String, String>,
        file: Option<(&str, &str)>,
    ) -> Result<Self, Vec<ConfigError>> {
        Self::resolved(flags, env, file, None)
    }

    fn resolved(
        flags: Flags,
        env: &BTreeMap<String, String>,
        file: Option<(&str, &str)>,
        disk: Option<Disk>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut file = match file {
            None => FileSettings::default(),
            Some((path, text)) => match tree::parse(path, text) {
                Ok(table) => Reader {
                    errors: &mut errors,
                }
                .file(table),
                Err(error) => {
                    errors.push(error);
                    FileSettings::default()
                }
            },
        };
        let sources = Sources::of(&flags, env, &mut file, &mut errors);
        let env = sources.env.clone();
        let mut resolver = Resolver {
            env: &env,
            disk,
            errors,
            warnings: env::warnings(&env),
        };
        let settings = resolver.settings(flags, file, sources);
        if resolver.errors.is_empty() {
            Ok(Self {
                warnings: resolver.warnings,
                ..settings
            })
        } else {
            Err(resolver.errors)
        }
    }
}

pub(super) struct Resolver<'a> {
    pub(super) env: &'a Env,
    pub(super) disk: Option<Disk>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<String>,
}

impl Resolver<'_> {
    fn settings(&mut self, flags: Flags, file: FileSettings, sources: Sources) -> Settings {
        let defaults = Settings::default();
        let group = self.pick("--group", flags.group, env::GROUP, file.group);
        let topic_prefix = self.pick(
            "--topic-prefix",
            flags.topic_prefix,
            env::TOPIC_PREFIX,
            file.topic_prefix,
        );
        let drain = self.pick("--drain", flags.drain, env::DRAIN, file.drain);
        let stall_after = self.pick(
            "--stall-after",
            flags.stall_after,
            env::STALL_AFTER,
            file.stall_after,
        );
        let buffer = self.pick(
            "--partition-buffer-bytes",
            flags.partition_buffer_bytes,
            env::PARTITION_BUFFER_BYTES,
            file.partition_buffer_bytes.map(as_text),
        );
        let profile = self.pick("--profile", flags.profile, env::PROFILE, file.profile);
        let profile = self
            .parse(profile, "profile", Profile::parse)
            .unwrap_or_default();
        let Clusters {
            unnamed,
            named,
            absent,
        } = self.clusters(sources, file.kafka, &profile);
        let Given {
            broker,
            consumer,
            producer,
        } = unnamed;
        let check_topics = self.pick(
            "--check-topics",
            flags.check_topics,
            env::CHECK_TOPICS,
            file.check_topics,
        );
        let create_topics = self.switch(
            flags.create_topics.then_some("--create-topics"),
            env::CREATE_TOPICS,
            "create_topics",
            file.create_topics,
        );
        let log_filter = self.pick("--log", flags.log, env::LOG, file.log_filter);
        let log_format = self.pick(
            "--log-format",
            flags.log_format,
            env::LOG_FORMAT,
            file.log_format,
        );
        let address = self.pick("--http", flags.http, env::HTTP, file.http_address);
        let prefix = self.pick("--prefix", flags.prefix, env::PREFIX, file.http_prefix);
        let token = self.pick(
            "--http-token",
            flags.http_token,
            env::HTTP_TOKEN,
            file.http_token,
        );
        let connections = self.pick(
            "--http-connections",
            flags.http_connections,
            env::HTTP_CONNECTIONS,
            file.http_connections.map(as_text),
        );
        // Only variables: a secret on a command line is seen by others, and addresses differ per worker.
        let secret = self.pick("", None, env::CLUSTER_SECRET, None);
        let http = HttpSettings {
            cluster_secret: self.parse(secret, "cluster_secret", |text| {
                parse_token(text).map(Secret::new)
            }),
            peers: self.pick("", None, env::PEERS, None),
            advertised_url: self.pick("", None, env::ADVERTISED_URL, None),
            hosts: self.pick("", None, env::HTTP_HOSTS, None),
            origins: self.pick("", None, env::HTTP_ORIGINS, None),
            address: self
                .parse(address, "http.address", HttpAddress::parse)
                .unwrap_or_default(),
            prefix: self
                .parse(prefix, "http.prefix", parse_prefix)
                .unwrap_or_default(),
            token: self.parse(token, "http.token", |text| {
                parse_token(text).map(Secret::new)
            }),
            open: self.switch(
                flags.http_open.then_some("--http-open"),
                env::HTTP_OPEN,
                "http.open",
                file.http_open,
            ),
            connections: self.parse(connections, "http.connections", parse_count),
        };
        self.check_access(&http);
        self.check_peers(&http);
        let registries = registry::resolve(
            file.registries,
            self.env,
            flags.schema_registry_url.as_deref(),
            self.disk,
            &mut self.errors,
            &mut self.warnings,
        );
        let app_env = env::with_prefix(self.env, env::APP)
            .filter(|(name, _, _)| env::get(self.env, name).is_some())
            .map(|(name, rest, value)| AppVar {
                name: name.to_owned(),
                path: rest.to_owned(),
                value: value.to_owned(),
            });
        Settings {
            broker,
            group: self.parse(group, "group", parse_group),
            topics: self.topics(&flags.topic, file.topics),
            topic_prefix: self.parse(topic_prefix, "topic_prefix", |text| {
                Ok::<_, String>(text.trim().to_owned())
            }),
            create_topics,
            check_topics: self
                .parse(check_topics, "check_topics", parse_check)
                .unwrap_or_default(),
            http,
            agents: file.agents.into_iter().collect(),
            registries,
            log_filter: log_filter.unwrap_or(defaults.log_filter),
            log_format: self
                .parse(log_format, "log.format", parse_format)
                .unwrap_or_default(),
            drain: self
                .parse(drain, "drain", parse_positive)
                .unwrap_or(defaults.drain),
            stall_after: self
                .parse(stall_after, "stall_after", parse_duration)
                .unwrap_or(defaults.stall_after),
            partition_buffer_bytes: self
                .parse(buffer, "partition_buffer_bytes", parse_bytes)
                .unwrap_or(defaults.partition_buffer_bytes),
            profile,
            security: Security::of(&consumer, &producer),
            clusters: named,
            absent,
            consumer,
            producer,
            app: AppSettings {
                table: file.app,
                env: app_env.collect(),
            },
            warnings: Vec::new(),
        }
    }

    /// The strongest source that says anything.
    pub(super) fn pick(
        &self,
        flag: &'static str,
        given: Option<String>,
        variable: &str,
        file: Option<Setting<String>>,
    ) -> Option<Setting<String>> {
        let from_env = || {
            let value = env::get(self.env, variable)?;
            Some(Setting::new(
                value.to_owned(),
                Source::Env(variable.to_owned()),
            ))
        };
        given
            .map(|value| Setting::new(value, Source::Flag(flag)))
            .or_else(from_env)
            .or(file)
    }

    pub(super) fn parse<T, E: ToString>(
        &mut self,
        setting: Option<Setting<String>>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Setting<T>> {
        let setting = setting?;
        match parse(&setting.value) {
            Ok(value) => Some(Setting::new(value, setting.source)),
            Err(message) => {
                self.errors
                    .push(setting.source.error(key, message.to_string()));
                None
            }
        }
    }

    fn topics(
        &mut self,
        flags: &[String],
        file: Vec<(String, Setting<String>)>,
    ) -> BTreeMap<String, Setting<String>> {
        let mut topics: BTreeMap<_, _> = file.into_iter().collect();
        let from_env = env::get(self.env, env::TOPICS)
            .into_iter()
            .flat_map(|list| list.split(','))
            .map(|pair| (pair, Source::Env(env::TOPICS.to_owned())));
        let from_flags = flags
            .iter()
            .map(|pair| (pair.as_str(), Source::Flag("--topic")));
        for (pair, source) in from_env.chain(from_flags) {
            match parse_pair(pair, "NAME=REAL") {
                Ok((name, real)) => {
                    topics.insert(name.to_owned(), Setting::new(real.to_owned(), source));
                }
                Err(message) => self.errors.push(source.error("topics", message)),
            }
        }
        for (name, real) in &topics {
            if real.trim().is_empty() {
                let message = format!("the real name of topic `{}` is empty", name.escape_debug());
                self.errors
                    .push(real.source.error(&format!("topics.{name}"), message));
            }
        }
        topics
    }

    /// On by the flag that is given, else as variable or file say, else off.
    fn switch(
        &mut self,
        flag: Option<&'static str>,
        variable: &str,
        key: &str,
        file: Option<Setting<bool>>,
    ) -> Setting<bool> {
        if let Some(flag) = flag {
            return Setting::new(true, Source::Flag(flag));
        }
        let from_env = self.pick("", None, variable, None);
        if from_env.is_some() {
            return self.parse(from_env, key, parse_bool).unwrap_or_default();
        }
        file.unwrap_or_default()
    }

    fn check_access(&mut self, http: &HttpSettings) {
        let Some(token) = &http.token else { return };
        if http.open.value {
            let message = format!(
                "a token (from {}) protects requests and this opens them; give one of them",
                token.source
            );
            self.errors
                .push(http.open.source.error("http.open", message));
        }
        if token.expose().len() < SHORT_TOKEN {
            self.warnings.push(format!(
                "{}: the token has fewer than {SHORT_TOKEN} characters and can be guessed",
                token.source
            ));
        }
    }

    /// A worker that does not know which peer it is would ask itself, and count itself twice.
    fn check_peers(&mut self, http: &HttpSettings) {
        let (Some(peers), None) = (&http.peers, &http.advertised_url) else {
            return;
        };
        let address = &http.address.value;
        let host = address.host.parse::<std::net::IpAddr>();
        if host.is_ok_and(|host| host.is_unspecified()) {
            let variable = env::ADVERTISED_URL;
            let message = format!(
                "a worker that serves `{address}` cannot tell which of them it is; set {variable} to its own address, as it stands in the list"
            );
            self.errors.push(peers.source.error("peers", message));
        }
    }
}

/// A number of the file, checked like one from elsewhere.
fn as_text(setting: Setting<impl ToString>) -> Setting<String> {
    Setting::new(setting.value.to_string(), setting.source)
}

fn parse_positive(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be longer than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(format!(
            "`{}` is not a number of bytes, at least 1",
            text.escape_debug()
        )),
    }
}

fn parse_check(text: &str) -> Result<CheckTopics, String> {
    let all = [CheckTopics::Warn, CheckTopics::Error, CheckTopics::Off];
    let found = all.iter().find(|check| check.name() == text.trim());
    found.copied().ok_or_else(|| {
        format!(
            "unknown value `{}`; use `warn`, `error` or `off`{}",
            text.escape_debug(),
            did_you_mean(text, all.map(CheckTopics::name)),
        )
    })
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text.trim() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!(
            "unknown format `{}`; use `text` or `json`{}",
            other.escape_debug(),
            did_you_mean(other, ["text", "json"]),
        )),
    }
}

fn parse_count(text: &str) -> Result<usize, &'static str> {
    let count = text.trim().parse().ok().filter(|count| *count > 0);
    count.ok_or("must be a whole number of at least 1")
}
