//! What the command line may say about settings; see [`Settings`](super::Settings) for how it is used.

use std::fmt;

use super::security::SecurityFlags;

/// The flags every citizenk program has, as typed. [`Settings::resolve`](super::Settings::resolve) checks
/// them and puts them over environment and file.
///
/// With the feature `cli` these are clap arguments, to flatten into your own:
///
/// ```
/// # #[cfg(feature = "cli")] {
/// use clap::Parser;
///
/// #[derive(Parser)]
/// struct Mine {
///     #[command(flatten)]
///     citizenk: citizenk::Flags,
///     /// Where the cameras are listed
///     #[arg(long)]
///     cameras: String,
/// }
///
/// let mine = Mine::parse_from(["mine", "--embedded", "--cameras", "list.txt"]);
/// assert!(mine.citizenk.embedded);
/// # }
/// ```
#[derive(Clone, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", command(next_help_heading = "Settings"))]
pub struct Flags {
    /// Kafka brokers, joined by commas [env: KAFKA_BOOTSTRAP_SERVERS; no default]
    #[cfg_attr(feature = "cli", arg(long, value_name = "HOST:PORT,.."))]
    pub bootstrap_servers: Option<String>,

    /// Run a broker inside this process, one for each cluster; their data is gone when the process ends
    /// [default: off]
    #[cfg_attr(feature = "cli", arg(long))]
    pub embedded: bool,

    /// Consumer group of agents without one of their own [env: CITIZENK_GROUP; default: the app's name]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub group: Option<String>,

    /// Use topic REAL where the program says NAME; repeatable [env: CITIZENK_TOPICS, joined by commas]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME=REAL"))]
    pub topic: Vec<String>,

    /// Put before the name of every topic without a `--topic` [env: CITIZENK_TOPIC_PREFIX; default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "PREFIX"))]
    pub topic_prefix: Option<String>,

    /// Create topics of the program that the cluster lacks, as they are declared
    /// [env: CITIZENK_CREATE_TOPICS; default: off]
    #[cfg_attr(feature = "cli", arg(long))]
    pub create_topics: bool,

    /// What becomes of topics that are not as declared: `warn` about them, end with an `error`, or `off`
    /// [env: CITIZENK_CHECK_TOPICS; default: warn]
    #[cfg_attr(feature = "cli", arg(long, value_name = "WHAT"))]
    pub check_topics: Option<String>,

    /// Where HTTP listens; port 0 = a free one [env: CITIZENK_HTTP; default: 127.0.0.1:8000]
    #[cfg_attr(feature = "cli", arg(long, value_name = "HOST:PORT"))]
    pub http: Option<String>,

    /// Path below which HTTP is served, e.g. `/api` [env: CITIZENK_PREFIX; default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "/PATH"))]
    pub prefix: Option<String>,

    /// Token that changing requests must bear; better in the environment, where other users cannot see
    /// it [env: CITIZENK_HTTP_TOKEN; no default]
    #[cfg_attr(feature = "cli", arg(long, value_name = "TOKEN"))]
    pub http_token: Option<String>,

    /// Allow changing requests from other machines without a token [env: CITIZENK_HTTP_OPEN; default: off]
    #[cfg_attr(feature = "cli", arg(long))]
    pub http_open: bool,

    /// How many connections HTTP takes at once, websockets included; more get a 503 [env:
    /// CITIZENK_HTTP_CONNECTIONS; default: 1024]
    #[cfg_attr(feature = "cli", arg(long, value_name = "COUNT"))]
    pub http_connections: Option<String>,

    /// Setting of librdkafka for consumers; repeatable [env: KAFKA_CONSUMER_..., e.g.
    /// KAFKA_CONSUMER_FETCH_WAIT_MAX_MS for fetch.wait.max.ms]
    #[cfg_attr(feature = "cli", arg(long, value_name = "KEY=VALUE"))]
    pub consumer: Vec<String>,

    /// Setting of librdkafka for producers; repeatable [env: KAFKA_PRODUCER_...]
    #[cfg_attr(feature = "cli", arg(long, value_name = "KEY=VALUE"))]
    pub producer: Vec<String>,

    /// Setting of a cluster with a name, e.g. eu.bootstrap.servers=host:9092, eu.sasl.username=x or
    /// eu.consumer.fetch.wait.max.ms=100; repeatable [env: KAFKA_NAME_..., e.g.
    /// KAFKA_EU_BOOTSTRAP_SERVERS]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME.KEY=VALUE"))]
    pub cluster: Vec<String>,

    /// Schema registry; several URLs of one joined by commas, or `embedded` for one inside this process
    /// [env: SCHEMA_REGISTRY_URL; no default]
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL,.."))]
    pub schema_registry_url: Option<String>,

    /// How clients prove who they are and whom they trust.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub security: SecurityFlags,

    /// How long started calls may go on when the service stops [env: CITIZENK_DRAIN; default: 10s]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DURATION"))]
    pub drain: Option<String>,

    /// A partition without progress for this long, though records wait, is reported, and one whose client
    /// delivers nothing is healed; `0s` switches that off [env: CITIZENK_STALL_AFTER] [default: 30s]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DURATION"))]
    pub stall_after: Option<String>,

    /// How many bytes of one partition may wait for an agent
    /// [env: CITIZENK_PARTITION_BUFFER_BYTES] [default: 1048576]
    #[cfg_attr(feature = "cli", arg(long, value_name = "BYTES"))]
    pub partition_buffer_bytes: Option<String>,

    /// What the Kafka clients are tuned for: throughput or latency [env: CITIZENK_PROFILE; default:
    /// throughput]
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME"))]
    pub profile: Option<String>,

    /// What is logged: a level, or levels by module, e.g. `info,librdkafka=debug` [env: RUST_LOG;
    /// default: info]
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILTER"))]
    pub log: Option<String>,

    /// How log lines look: text or json [env: CITIZENK_LOG_FORMAT; default: text]
    #[cfg_attr(feature = "cli", arg(long, value_name = "FORMAT"))]
    pub log_format: Option<String>,

    /// A TOML file with all of this [env: CITIZENK_CONFIG; default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub config: Option<String>,

    /// Set by the program, not the command line: the names of its clusters, see
    /// [`App::cluster`](crate::App::cluster).
    #[cfg_attr(feature = "cli", arg(skip))]
    pub clusters: Vec<String>,

    /// Set by the program, not the command line: without bootstrap servers, use the embedded broker.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub embedded_by_default: bool,

    /// Set by commands that need no broker (they print documents): bootstrap servers may be missing.
    #[cfg_attr(feature = "cli", arg(skip))]
    pub offline: bool,
}

// Tokens and passwords may be anywhere in here, so only the names of what was given are shown.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = [
            ("--bootstrap-servers", self.bootstrap_servers.is_some()),
            ("--embedded", self.embedded),
            ("--group", self.group.is_some()),
            ("--topic", !self.topic.is_empty()),
            ("--topic-prefix", self.topic_prefix.is_some()),
            ("--create-topics", self.create_topics),
            ("--check-topics", self.check_topics.is_some()),
            ("--http", self.http.is_some()),
            ("--prefix", self.prefix.is_some()),
            ("--http-token", self.http_token.is_some()),
            ("--http-open", self.http_open),
            ("--http-connections", self.http_connections.is_some()),
            ("--consumer", !self.consumer.is_empty()),
            ("--producer", !self.producer.is_empty()),
            ("--cluster", !self.cluster.is_empty()),
            ("clusters", !self.clusters.is_empty()),
            ("--schema-registry-url", self.schema_registry_url.is_some()),
            ("--drain", self.drain.is_some()),
            ("--stall-after", self.stall_after.is_some()),
            (
                "--partition-buffer-bytes",
                self.partition_buffer_bytes.is_some(),
            ),
            ("--profile", self.profile.is_some()),
            ("--log", self.log.is_some()),
            ("--log-format", self.log_format.is_some()),
            ("--config", self.config.is_some()),
            ("embedded_by_default", self.embedded_by_default),
            ("offline", self.offline),
        ];
        f.write_str("Flags")?;
        f.debug_set()
            .entries(
                given
                    .iter()
                    .filter(|(_, given)| *given)
                    .map(|(name, _)| *name)
                    .chain(self.security.given()),
            )
            .finish()
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn clap_accepts_the_definition_and_the_help_states_variables() {
        Program::command().debug_assert();
        let help = Program::command().render_help().to_string();
        for text in [
            "--bootstrap-servers",
            "KAFKA_BOOTSTRAP_SERVERS",
            "CITIZENK_HTTP",
            "127.0.0.1:8000",
            "CITIZENK_PREFIX",
            "CITIZENK_PROFILE",
            "RUST_LOG",
            "CITIZENK_LOG_FORMAT",
            "CITIZENK_CONFIG",
            "10s",
        ] {
            assert!(help.contains(text), "{text}: {help}");
        }
        assert!(!help.contains("offline") && !help.contains("embedded-by-default"));
    }

    #[test]
    fn repeated_flags_collect_and_debug_shows_names_only() {
        let flags = Program::parse_from([
            "x",
            "--topic",
            "a=b",
            "--topic",
            "c=d",
            "--consumer",
            "sasl.password=hunter2",
            "--http-token",
            "hunter2",
            "--embedded",
        ])
        .flags;
        assert_eq!(flags.topic, ["a=b", "c=d"]);
        assert!(flags.embedded);
        assert_eq!(
            format!("{flags:?}"),
            r#"Flags{"--embedded", "--topic", "--http-token", "--consumer"}"#
        );
    }
}
