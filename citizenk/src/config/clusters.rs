//! Clusters: which servers, how clients reach them, and what one cluster has from another.
//!
//! In: flags, variables and a table of the file that concern one cluster. Out: what its clients are given.
//! Clusters with a name have everything of the unnamed one under a name of their own (`KAFKA_EU_SASL_USERNAME`,
//! `[clusters.eu]`, `--cluster eu.sasl.username=..`). They begin with its settings for consumers and producers,
//! but never with its servers or its security: what one cluster trusts another must not be shown.

use std::collections::{BTreeMap, BTreeSet};

use super::env::{self, Env};
use super::file::{FileCluster, FileSettings, check_client};
use super::kafka::{self, ClientSettings, Side};
use super::profile::{self, Profile};
use super::resolve::Resolver;
use super::security::{self, Security};
use super::values::{parse_pair, parse_servers};
use super::{Broker, Flags, Setting, Source};
use crate::error::ConfigError;

/// The cluster of topics that name none.
pub(crate) const DEFAULT_CLUSTER: &str = "default";

const FLAG: &str = "--cluster";
const LONGEST: usize = 40;
/// What follows `KAFKA_` in the unnamed cluster's variables.
const TAKEN: [&str; 9] = [
    "bootstrap",
    "consumer",
    "producer",
    "security",
    "sasl",
    "ssl",
    "https",
    "enable",
    DEFAULT_CLUSTER,
];

/// Says what is wrong with the name of a cluster, if anything.
pub(crate) fn check_cluster_name(name: &str) -> Result<(), String> {
    let shown = name.escape_debug();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(allowed)
        || name.len() > LONGEST
    {
        return Err(format!(
            "`{shown}` cannot name a cluster; use at most {LONGEST} lower case letters, digits and `-`, a letter first"
        ));
    }
    let first = name.split('-').next().unwrap_or_default();
    if TAKEN.contains(&first) {
        return Err(format!(
            "`{shown}` cannot name a cluster: variables that begin with KAFKA_{} have another meaning",
            first.to_ascii_uppercase()
        ));
    }
    Ok(())
}

/// `eu-west` → `KAFKA_EU_WEST_`.
fn prefix(cluster: &str) -> String {
    format!("KAFKA_{}_", cluster.replace('-', "_").to_ascii_uppercase())
}

/// The variable with the addresses of a cluster's brokers.
pub(crate) fn servers_variable(cluster: &str) -> String {
    if cluster == DEFAULT_CLUSTER {
        return env::BOOTSTRAP_SERVERS.to_owned();
    }
    format!("{}BOOTSTRAP_SERVERS", prefix(cluster))
}

/// What the clients of a cluster with a name are given.
#[derive(Clone)]
pub(crate) struct ClusterSettings {
    pub(crate) broker: Setting<Broker>,
    pub(crate) security: Security,
    pub(in crate::config) consumer: ClientSettings,
    pub(in crate::config) producer: ClientSettings,
}

/// One cluster, whether it has a name or not.
#[derive(Clone, Copy)]
pub(crate) struct ClusterView<'a> {
    pub(crate) broker: &'a Setting<Broker>,
    pub(crate) security: &'a Security,
    pub(crate) consumer: &'a ClientSettings,
    pub(crate) producer: &'a ClientSettings,
}

impl ClusterView<'_> {
    /// librdkafka settings for consumers: shared ones, those for consumers over them.
    pub(crate) fn consumer(self) -> BTreeMap<String, String> {
        kafka::plain(self.consumer)
    }

    /// librdkafka settings for producers: shared ones, those for producers over them.
    pub(crate) fn producer(self) -> BTreeMap<String, String> {
        kafka::plain(self.producer)
    }
}

/// What one cluster is given by flags, variables and file, without the profile.
pub(super) struct Given {
    pub(super) broker: Setting<Broker>,
    pub(super) consumer: ClientSettings,
    pub(super) producer: ClientSettings,
}

/// The flags that concern one cluster.
#[derive(Default)]
pub(super) struct ClusterFlags {
    servers: Option<String>,
    embedded: bool,
    by_default: bool,
    offline: bool,
    consumer: Vec<String>,
    producer: Vec<String>,
    shared: ClientSettings,
}

impl ClusterFlags {
    /// Of the cluster without a name.
    fn unnamed(flags: &Flags) -> Self {
        Self {
            servers: flags.bootstrap_servers.clone(),
            embedded: flags.embedded,
            by_default: flags.embedded_by_default,
            offline: flags.offline,
            consumer: flags.consumer.clone(),
            producer: flags.producer.clone(),
            shared: security::from_flags(flags),
        }
    }

    fn take(&mut self, key: &str, value: &str) {
        if key == "bootstrap.servers" {
            self.servers = Some(value.to_owned());
        } else if let Some(key) = key.strip_prefix("consumer.") {
            self.consumer.push(format!("{key}={value}"));
        } else if let Some(key) = key.strip_prefix("producer.") {
            self.producer.push(format!("{key}={value}"));
        } else {
            let setting = Setting::new(value.to_owned(), Source::Flag(FLAG));
            self.shared.insert(key.to_owned(), setting);
        }
    }
}

/// What is said about clusters, taken apart.
pub(super) struct Sources {
    unnamed: ClusterFlags,
    named: BTreeMap<String, (ClusterFlags, Env, FileCluster)>,
    /// The variables that concern no cluster with a name.
    pub(super) env: Env,
}

impl Sources {
    pub(super) fn of(
        flags: &Flags,
        env: &Env,
        file: &mut FileSettings,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let mut of_flags: BTreeMap<String, ClusterFlags> = BTreeMap::new();
        for name in &flags.clusters {
            of_flags.entry(name.clone()).or_default();
        }
        for given in &flags.cluster {
            let form = "NAME.KEY=VALUE, e.g. eu.bootstrap.servers=host:9092";
            let pair = parse_pair(given, form).and_then(|(left, value)| {
                let split = left.split_once('.').map(|(name, key)| (name, key, value));
                split.ok_or_else(|| format!("must have the form {form}"))
            });
            match pair {
                Ok((name, key, value)) => {
                    let cluster = of_flags.entry(name.to_owned()).or_default();
                    cluster.take(key, value);
                }
                Err(message) => errors.push(Source::Flag(FLAG).error("", message)),
            }
        }
        let mut files: BTreeMap<String, FileCluster> =
            std::mem::take(&mut file.clusters).into_iter().collect();
        let names: BTreeSet<String> = of_flags.keys().chain(files.keys()).cloned().collect();
        let mut known = BTreeMap::new();
        for name in names {
            if let Err(message) = check_cluster_name(&name) {
                errors.push(ConfigError::new(format!("clusters.{name}"), message));
            } else {
                known.insert(prefix(&name), name);
            }
        }
        let mut own = Env::new();
        let mut envs: BTreeMap<&str, Env> = BTreeMap::new();
        for (name, value) in env {
            // `KAFKA_EU_WEST_..` is of `eu-west`, also beside `eu`.
            let of = known.iter().filter(|(prefix, _)| name.starts_with(*prefix));
            match of.max_by_key(|(prefix, _)| prefix.len()) {
                Some((prefix, cluster)) => {
                    let unnamed = format!("KAFKA_{}", &name[prefix.len()..]);
                    let of = envs.entry(cluster).or_default();
                    of.insert(unnamed, value.clone());
                }
                None => {
                    own.insert(name.clone(), value.clone());
                }
            }
        }
        let mut named = BTreeMap::new();
        for name in known.values() {
            let flags = ClusterFlags {
                embedded: flags.embedded,
                by_default: flags.embedded_by_default,
                offline: flags.offline,
                ..of_flags.remove(name).unwrap_or_default()
            };
            let env = envs.remove(name.as_str()).unwrap_or_default();
            let file = files.remove(name).unwrap_or_default();
            named.insert(name.clone(), (flags, env, file));
        }
        let mut sources = Self {
            unnamed: ClusterFlags::unnamed(flags),
            named,
            env: own,
        };
        // Some records into a real cluster and others into a broker that forgets them: nobody wants that.
        let servers = |flags: &ClusterFlags, env: &Env, file: &FileCluster| {
            flags.servers.is_some()
                || env::get(env, env::BOOTSTRAP_SERVERS).is_some()
                || file.bootstrap_servers.is_some()
        };
        let mut named = sources.named.values();
        if servers(&sources.unnamed, &sources.env, &file.kafka)
            || named.any(|(flags, env, file)| servers(flags, env, file))
        {
            sources.unnamed.by_default = false;
            for (flags, _, _) in sources.named.values_mut() {
                flags.by_default = false;
            }
        }
        sources
    }
}

/// All clusters, with the profile's settings below those that are given.
pub(super) struct Clusters {
    pub(super) unnamed: Given,
    pub(super) named: BTreeMap<String, ClusterSettings>,
    /// Why there is no unnamed cluster, where others may be all that is wanted.
    pub(super) absent: Option<ConfigError>,
}

impl Resolver<'_> {
    pub(super) fn clusters(
        &mut self,
        sources: Sources,
        file: FileCluster,
        profile: &Setting<Profile>,
    ) -> Clusters {
        let (mut unnamed, absent) = self.given(&sources.unnamed, file);
        self.errors.extend(kafka::group::check(&unnamed.consumer));
        let mut named = BTreeMap::new();
        for (name, (flags, env, file)) in sources.named {
            let mut resolver = Resolver {
                env: &env,
                disk: self.disk,
                errors: Vec::new(),
                warnings: env::warnings(&env),
            };
            let (given, absent) = resolver.given(&flags, file);
            let Resolver {
                errors, warnings, ..
            } = resolver;
            let renamed = Renamed::new(&name);
            self.errors
                .extend(errors.into_iter().chain(absent).map(|e| renamed.error(e)));
            let said = warnings.into_iter().map(|text| renamed.text(&text));
            self.warnings.extend(said);
            let mut consumer = above(&unnamed.consumer, renamed.sources(given.consumer));
            let mut producer = above(&unnamed.producer, renamed.sources(given.producer));
            for error in kafka::group::check(&consumer) {
                if !self.errors.contains(&error) {
                    self.errors.push(error);
                }
            }
            let broker = renamed.source(given.broker);
            profile::below(profile, &broker, &mut consumer, &mut producer);
            let cluster = ClusterSettings {
                security: Security::of(&consumer, &producer),
                broker,
                consumer,
                producer,
            };
            named.insert(name, cluster);
        }
        let Given {
            broker,
            consumer,
            producer,
        } = &mut unnamed;
        profile::below(profile, broker, consumer, producer);
        let absent = match absent {
            Some(error) if named.is_empty() => {
                self.errors.push(error);
                None
            }
            absent => absent,
        };
        Clusters {
            unnamed,
            named,
            absent,
        }
    }

    fn given(&mut self, flags: &ClusterFlags, file: FileCluster) -> (Given, Option<ConfigError>) {
        let shared = Shared {
            file: &file.shared,
            env: security::from_env(self.env, self.disk, &mut self.errors),
            flags: flags.shared.clone(),
        };
        self.check_shared(&shared);
        let mut consumer = self.client(Side::Consumer, &flags.consumer, &shared, &file.consumer);
        let mut producer = self.client(Side::Producer, &flags.producer, &shared, &file.producer);
        let (errors, warnings) = (&mut self.errors, &mut self.warnings);
        for (side, path, settings) in [
            (Side::Both, "kafka", &file.shared),
            (Side::Consumer, "kafka.consumer", &file.consumer),
            (Side::Producer, "kafka.producer", &file.producer),
        ] {
            check_client(side, path, settings, errors, warnings);
        }
        let (broker, absent) = self.broker(flags, file.bootstrap_servers);
        if broker.value == Broker::Embedded {
            self.without_security([&mut consumer, &mut producer]);
        } else {
            self.check_security([&consumer, &producer]);
        }
        let given = Given {
            broker,
            consumer,
            producer,
        };
        (given, absent)
    }

    /// What serves the records, or why nothing does.
    fn broker(
        &mut self,
        flags: &ClusterFlags,
        file: Option<Setting<String>>,
    ) -> (Setting<Broker>, Option<ConfigError>) {
        let servers = self.pick(
            "--bootstrap-servers",
            flags.servers.clone(),
            env::BOOTSTRAP_SERVERS,
            file,
        );
        if flags.embedded {
            match &servers {
                Some(Setting {
                    source: source @ Source::Flag(_),
                    ..
                }) => self
                    .errors
                    .push(source.error("", "conflicts with `--embedded`; give one of them")),
                Some(servers) => self.warnings.push(format!(
                    "--embedded is given: the bootstrap servers of {} are not used",
                    servers.source
                )),
                None => {}
            }
            let embedded = Setting::new(Broker::Embedded, Source::Flag("--embedded"));
            return (embedded, None);
        }
        if servers.is_some() {
            let parsed = self.parse(servers, "kafka.bootstrap.servers", |text| {
                parse_servers(text).map(Broker::Cluster)
            });
            return (parsed.unwrap_or_default(), None);
        }
        if flags.by_default {
            return (Setting::default_of(Broker::Embedded), None);
        }
        let absent = (!flags.offline).then(|| {
            let mistaken = env::mistaken_servers(self.env)
                .map(|name| format!(" ({name} is set, but that is not its name)"));
            ConfigError::new(
                env::BOOTSTRAP_SERVERS,
                format!(
                    "is not set{}; set it to the addresses of the Kafka brokers, or pass \
                     `--bootstrap-servers HOST:PORT`, or `--embedded` for a broker inside the process",
                    mistaken.unwrap_or_default()
                ),
            )
        });
        (Setting::default(), absent)
    }

    /// Checks what environment and flags say for every client; the file is checked as a whole.
    fn check_shared(&mut self, shared: &Shared<'_>) {
        for (key, setting) in shared.env.iter().chain(&shared.flags) {
            let one = ClientSettings::from([(key.clone(), setting.clone())]);
            check_client(Side::Both, "", &one, &mut self.errors, &mut self.warnings);
        }
    }

    /// What both sides have in common is said once.
    fn check_security(&mut self, sides: [&ClientSettings; 2]) {
        for side in sides {
            for error in security::check(side, self.disk) {
                if !self.errors.contains(&error) {
                    self.errors.push(error);
                }
            }
        }
    }

    /// The broker inside the process has neither certificates nor users.
    fn without_security(&mut self, sides: [&mut ClientSettings; 2]) {
        let mut unused = Vec::new();
        for side in sides {
            side.retain(|key, setting| {
                let kept = !security::is_security(key);
                if !kept {
                    unused.push(format!("`{key}` ({})", setting.source));
                }
                kept
            });
        }
        unused.sort();
        unused.dedup();
        if !unused.is_empty() {
            self.warnings.push(format!(
                "the embedded broker has no security: {} not used",
                unused.join(", ")
            ));
        }
    }

    /// The file's shared settings, its own, then those of environment and flags, shared ones first; checks
    /// what environment and flags say for this side.
    fn client(
        &mut self,
        side: Side,
        flags: &[String],
        shared: &Shared<'_>,
        own: &ClientSettings,
    ) -> ClientSettings {
        let (flag, prefix) = match side {
            Side::Producer => ("--producer", env::PRODUCER),
            Side::Consumer | Side::Both => ("--consumer", env::CONSUMER),
        };
        let mut merged = ClientSettings::new();
        for (key, setting) in shared.file.iter().chain(own).chain(&shared.env) {
            kafka::put(&mut merged, key, setting.clone());
        }
        for (name, suffix, value) in env::with_prefix(self.env, prefix) {
            let setting = Setting::new(value.to_owned(), Source::Env(name.to_owned()));
            self.one(side, &mut merged, &kafka::from_env_suffix(suffix), setting);
        }
        for (key, setting) in &shared.flags {
            kafka::put(&mut merged, key, setting.clone());
        }
        for pair in flags {
            let source = Source::Flag(flag);
            match parse_pair(pair, "KEY=VALUE, e.g. fetch.wait.max.ms=100") {
                Ok((key, value)) => {
                    self.one(
                        side,
                        &mut merged,
                        key,
                        Setting::new(value.to_owned(), source),
                    );
                }
                Err(message) => self.errors.push(source.error("", message)),
            }
        }
        merged
    }

    /// Checks one, so that each mistake has its own source, and puts it over the others.
    fn one(
        &mut self,
        side: Side,
        merged: &mut ClientSettings,
        key: &str,
        setting: Setting<String>,
    ) {
        let one = ClientSettings::from([(key.to_owned(), setting.clone())]);
        check_client(side, "", &one, &mut self.errors, &mut self.warnings);
        kafka::put(merged, key, setting);
    }
}

/// What is said for consumers and producers alike.
struct Shared<'a> {
    file: &'a ClientSettings,
    env: ClientSettings,
    flags: ClientSettings,
}

/// The unnamed cluster's settings but for its security, the cluster's own over them.
fn above(unnamed: &ClientSettings, own: ClientSettings) -> ClientSettings {
    let mut merged: ClientSettings = unnamed
        .iter()
        .filter(|(key, _)| !security::is_security(key))
        .map(|(key, setting)| (key.clone(), setting.clone()))
        .collect();
    for (key, setting) in own {
        kafka::put(&mut merged, &key, setting);
    }
    merged
}

/// Says of a cluster with a name what was said of the unnamed one.
struct Renamed {
    prefix: String,
    table: String,
    flag: String,
}

impl Renamed {
    fn new(name: &str) -> Self {
        Self {
            prefix: prefix(name),
            table: format!("clusters.{name}"),
            flag: format!("{FLAG} {name}."),
        }
    }

    fn text(&self, text: &str) -> String {
        let flag = &self.flag;
        text.replace(
            "--bootstrap-servers HOST",
            &format!("{flag}bootstrap.servers=HOST"),
        )
        .replace("--bootstrap-servers", &format!("{flag}bootstrap.servers"))
        .replace("--consumer", &format!("{flag}consumer"))
        .replace("--producer", &format!("{flag}producer"))
        .replace("[kafka", &format!("[{}", self.table))
        .replace("KAFKA_", &self.prefix)
    }

    fn error(&self, error: ConfigError) -> ConfigError {
        let key = match error.key.strip_prefix("kafka") {
            Some(rest) => format!("{}{rest}", self.table),
            None => self.text(&error.key),
        };
        ConfigError::new(key, self.text(&error.message))
    }

    fn source<T>(&self, setting: Setting<T>) -> Setting<T> {
        let source = match setting.source {
            Source::Env(name) => Source::Env(self.text(&name)),
            Source::Flag("--embedded") => Source::Flag("--embedded"),
            Source::Flag(_) => Source::Flag(FLAG),
            other => other,
        };
        Setting::new(setting.value, source)
    }

    fn sources(&self, settings: ClientSettings) -> ClientSettings {
        let renamed = settings.into_iter();
        renamed
            .map(|(key, setting)| (key, self.source(setting)))
            .collect()
    }
}
