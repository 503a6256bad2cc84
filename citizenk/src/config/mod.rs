//! Settings: everything an operator may say about a running service.
//!
//! In: flags, environment and the text of a settings file, as plain data. Out: [`Settings`], or every
//! mistake at once. A flag wins over the environment, that over the file, that over the default; each
//! value remembers where it came from. The app resolves settings once, before anything starts, and owns
//! them; only [`Settings::load`] reads the process's environment and the disk.
//!
//! ```toml
//! group = "orders"                    # --group, CITIZENK_GROUP
//! topic_prefix = "staging."           # --topic-prefix, CITIZENK_TOPIC_PREFIX
//! drain = "10s"                       # --drain, CITIZENK_DRAIN
//! stall_after = "30s"                 # --stall-after, CITIZENK_STALL_AFTER
//! create_topics = false               # --create-topics, CITIZENK_CREATE_TOPICS
//! check_topics = "warn"               # --check-topics, CITIZENK_CHECK_TOPICS
//! partition_buffer_bytes = 1048576    # --partition-buffer-bytes, CITIZENK_PARTITION_BUFFER_BYTES
//! profile = "throughput"              # --profile, CITIZENK_PROFILE
//!
//! [topics]                            # --topic, CITIZENK_TOPICS
//! videos = "videos-v2"                # the exact name on the broker: no prefix is added
//!
//! [http]
//! address = "127.0.0.1:8000"          # --http, CITIZENK_HTTP
//! prefix = "/api"                     # --prefix, CITIZENK_PREFIX
//! token = ".."                        # --http-token, CITIZENK_HTTP_TOKEN
//! open = false                        # --http-open, CITIZENK_HTTP_OPEN
//! connections = 1024                  # --http-connections, CITIZENK_HTTP_CONNECTIONS
//!
//! [log]
//! filter = "info"                     # --log, RUST_LOG
//! format = "text"                     # --log-format, CITIZENK_LOG_FORMAT
//!
//! [kafka]                             # for consumers and producers
//! bootstrap.servers = "a:9092,b:9092" # --bootstrap-servers, KAFKA_BOOTSTRAP_SERVERS
//! security.protocol = "SASL_SSL"      # --security-protocol, KAFKA_SECURITY_PROTOCOL; so are all ssl.* and sasl.*
//! [kafka.consumer]                    # --consumer, KAFKA_CONSUMER_<KEY>
//! fetch.wait.max.ms = 100
//! [kafka.producer]                    # --producer, KAFKA_PRODUCER_<KEY>
//! linger.ms = 5
//!
//! [clusters.eu]                       # as `[kafka]`, for the cluster `eu`: --cluster eu.bootstrap.servers=..
//! bootstrap.servers = "c:9092"        # KAFKA_EU_BOOTSTRAP_SERVERS; so are all ssl.* and sasl.*
//! [clusters.eu.consumer]              # over `[kafka.consumer]`; KAFKA_EU_CONSUMER_<KEY>
//! fetch.wait.max.ms = 500
//!
//! [registry]                          # SCHEMA_REGISTRY_<KEY>
//! url = "https://registry:8081"       # --schema-registry-url, SCHEMA_REGISTRY_URL
//! username = "billing"                # password, token, timeout, ssl.ca.location, ..
//! [registries.source]                 # another one, SCHEMA_REGISTRY_SOURCE_<KEY>
//! url = "https://elsewhere:8081"
//!
//! [agents.process]
//! batch_size = 100
//! batch_timeout = "200ms"
//! concurrency = 4
//! timeout = "20s"
//! buffer_bytes = 1048576
//! enabled = true
//!
//! [app]                               # APP_<KEY>: the program's own
//! database.url = "sqlite::memory:"    # APP_DATABASE__URL
//! ```

mod agents;
mod app;
mod clusters;
mod env;
mod file;
mod flags;
pub(crate) mod kafka;
mod names;
mod printable;
mod profile;
pub(crate) mod registry;
mod resolve;
mod secret;
pub(crate) mod security;
mod source;
#[cfg(all(test, feature = "cli"))]
mod tests;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::error::ConfigError;

pub(crate) use agents::AgentTuning;
pub(crate) use clusters::{
    ClusterSettings, ClusterView, DEFAULT_CLUSTER, check_cluster_name, servers_variable,
};
pub use flags::Flags;
use kafka::ClientSettings;
pub(crate) use names::{TopicNames, split_name};
pub(crate) use printable::MASK;
pub use printable::Printable;
pub(crate) use profile::Profile;
pub use registry::SchemaMode;
pub(crate) use registry::{
    Pem, Registries, RegistryAuth, RegistrySettings, TIMEOUT as REGISTRY_TIMEOUT,
};
pub(crate) use secret::Secret;
#[cfg(feature = "oauth")]
pub(crate) use security::ClientCredentials;
pub(crate) use security::Security;
pub use security::SecurityFlags;
pub(crate) use source::{Setting, Source};
pub(crate) use values::{HttpAddress, parse_group};

/// Everything an operator may set, checked.
///
/// ```
/// use std::collections::BTreeMap;
/// use citizenk::{Flags, Settings};
///
/// let env = BTreeMap::from([("KAFKA_BOOTSTRAP_SERVERS".to_owned(), "a:9092".to_owned())]);
/// let settings = Settings::resolve(Flags::default(), &env, None).unwrap();
/// assert!(settings.printable().to_string().contains("broker = a:9092 (KAFKA_BOOTSTRAP_SERVERS)"));
/// ```
#[derive(Clone)]
pub struct Settings {
    /// What serves the records.
    pub(crate) broker: Setting<Broker>,
    /// `None`: the app's name.
    pub(crate) group: Option<Setting<String>>,
    /// Real names by the program's names; the real ones are not yet checked against Kafka's rule.
    pub(crate) topics: BTreeMap<String, Setting<String>>,
    pub(crate) topic_prefix: Option<Setting<String>>,
    /// Whether topics that the cluster lacks are created.
    pub(crate) create_topics: Setting<bool>,
    pub(crate) check_topics: Setting<CheckTopics>,
    pub(crate) http: HttpSettings,
    pub(crate) agents: BTreeMap<String, AgentTuning>,
    pub(crate) registries: Registries,
    /// As `tracing_subscriber::EnvFilter` reads it.
    pub(crate) log_filter: Setting<String>,
    pub(crate) log_format: Setting<LogFormat>,
    /// How long started calls may go on when the service stops.
    pub(crate) drain: Setting<Duration>,
    /// A partition without progress for this long, though records wait, is stalled; zero: never.
    pub(crate) stall_after: Setting<Duration>,
    /// How many bytes of one partition may wait for an agent.
    pub(crate) partition_buffer_bytes: Setting<usize>,
    /// Already among the settings of consumers and producers.
    pub(crate) profile: Setting<Profile>,
    /// Of the clients of the cluster.
    pub(crate) security: Security,
    /// Clusters with a name.
    pub(crate) clusters: BTreeMap<String, ClusterSettings>,
    /// Why there is no unnamed cluster, where it may not be needed.
    pub(crate) absent: Option<ConfigError>,
    pub(in crate::config) consumer: ClientSettings,
    pub(in crate::config) producer: ClientSettings,
    pub(in crate::config) app: app::AppSettings,
    pub(in crate::config) warnings: Vec<String>,
}

/// What serves the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Broker {
    /// Bootstrap servers of a real cluster, joined by commas.
    Cluster(String),
    /// The broker inside this process.
    Embedded,
    /// None is needed: the command prints a document, or a test brings its own.
    #[default]
    Unset,
}

/// Where and how HTTP is served.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpSettings {
    pub(crate) address: Setting<HttpAddress>,
    /// Empty, or `/` and segments.
    pub(crate) prefix: Setting<String>,
    pub(crate) token: Option<Setting<Secret>>,
    pub(crate) open: Setting<bool>,
    /// How many connections are served at once; `None`: the web's default.
    pub(crate) connections: Option<Setting<usize>>,
    /// What workers of one service know and nobody else.
    pub(crate) cluster_secret: Option<Setting<Secret>>,
    /// Addresses of the workers, where the broker is not asked for them; joined by commas.
    pub(crate) peers: Option<Setting<String>>,
    /// Where other workers reach this one, if not at the address it serves.
    pub(crate) advertised_url: Option<Setting<String>>,
    /// Names the service is reached by, beside those of the app; joined by commas.
    pub(crate) hosts: Option<Setting<String>>,
    /// Origins whose pages may change something, beside those of the app; joined by commas.
    pub(crate) origins: Option<Setting<String>>,
}

/// Who may send requests that change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpAccess {
    /// Who bears this token.
    Token(Secret),
    /// Everybody who reaches the address.
    Open,
    /// Nobody: the address is reachable from other machines and neither token nor `--http-open` is given.
    Closed,
}

impl HttpSettings {
    /// Who may change something.
    pub(crate) fn access(&self) -> HttpAccess {
        match &self.token {
            Some(token) => HttpAccess::Token(token.value.clone()),
            None if self.open.value || self.address.is_loopback() => HttpAccess::Open,
            None => HttpAccess::Closed,
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What becomes of topics that are not as declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CheckTopics {
    /// Each difference is logged.
    #[default]
    Warn,
    /// The service does not start.
    Error,
    /// Nobody looks.
    Off,
}

impl CheckTopics {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Off => "off",
        }
    }
}

/// Started calls may go on this long when the service stops, unless told otherwise.
const DRAIN: Duration = Duration::from_secs(10);

/// As long as librdkafka needs to notice a dead connection, with some room.
const STALL_AFTER: Duration = Duration::from_secs(30);

/// More than small records ever take: of those, their number is the limit.
const PARTITION_BUFFER_BYTES: usize = 1024 * 1024;

impl Default for Settings {
    /// Every default and no broker: for tests that bring their own.
    fn default() -> Self {
        Self {
            broker: Setting::default(),
            group: None,
            topics: BTreeMap::new(),
            topic_prefix: None,
            create_topics: Setting::default(),
            check_topics: Setting::default(),
            http: HttpSettings::default(),
            agents: BTreeMap::new(),
            registries: Registries::default(),
            log_filter: Setting::default_of("info".to_owned()),
            log_format: Setting::default(),
            drain: Setting::default_of(DRAIN),
            stall_after: Setting::default_of(STALL_AFTER),
            partition_buffer_bytes: Setting::default_of(PARTITION_BUFFER_BYTES),
            profile: Setting::default(),
            security: Security::default(),
            clusters: BTreeMap::new(),
            absent: None,
            consumer: ClientSettings::new(),
            producer: ClientSettings::new(),
            app: app::AppSettings::default(),
            warnings: Vec::new(),
        }
    }
}

impl Settings {
    /// What looks like a mistake but is none for certain, e.g. a variable that resembles one of ours. To
    /// be logged once the log is set up.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The settings without secrets, to print.
    #[must_use]
    pub fn printable(&self) -> Printable<'_> {
        Printable::new(self)
    }

    /// What the clients of a cluster are given; `None`: these settings have no such cluster.
    pub(crate) fn cluster(&self, name: &str) -> Option<ClusterView<'_>> {
        if name == DEFAULT_CLUSTER {
            return Some(ClusterView {
                broker: &self.broker,
                security: &self.security,
                consumer: &self.consumer,
                producer: &self.producer,
            });
        }
        self.clusters.get(name).map(|cluster| ClusterView {
            broker: &cluster.broker,
            security: &cluster.security,
            consumer: &cluster.consumer,
            producer: &cluster.producer,
        })
    }

    /// Every cluster, the unnamed one first.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = (&str, ClusterView<'_>)> {
        let named = self.clusters.keys().map(String::as_str);
        std::iter::once(DEFAULT_CLUSTER)
            .chain(named)
            .filter_map(|name| Some((name, self.cluster(name)?)))
    }

    /// Where consumers of which cluster are told to read more of transactions than what is committed.
    pub(crate) fn uncommitted(&self) -> BTreeMap<String, String> {
        let told = self.clusters().filter_map(|(name, cluster)| {
            let level = cluster.consumer.get("isolation.level")?;
            let committed = level.value.trim() == "read_committed";
            (!committed).then(|| (name.to_owned(), level.source.to_string()))
        });
        told.collect()
    }

    /// What topics are called on the broker.
    pub(crate) fn names(&self) -> TopicNames {
        let renamed = self.topics.iter();
        TopicNames {
            renamed: renamed
                .map(|(name, real)| (name.clone(), real.value.clone()))
                .collect(),
            prefix: self
                .topic_prefix
                .as_ref()
                .map(|prefix| prefix.value.clone())
                .unwrap_or_default(),
        }
    }

    /// The broker's name of a topic.
    pub(crate) fn real_topic(&self, name: &str) -> String {
        self.names().real(name)
    }
}

#[cfg(all(test, feature = "cli"))]
fn merge_consumer(settings: &Settings) -> BTreeMap<String, String> {
    kafka::plain(&settings.consumer)
}

#[cfg(all(test, feature = "cli"))]
fn merge_producer(settings: &Settings) -> BTreeMap<String, String> {
    kafka::plain(&settings.producer)
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings ")?;
        fmt::Debug::fmt(&self.printable(), f)
    }
}
