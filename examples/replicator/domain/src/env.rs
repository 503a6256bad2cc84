//! The service's variables, as they are documented, to its options and to the variables of `citizenk`.
//!
//! The two clusters are `source` and `target`: `KAFKA_SOURCE_SERVER_URL` is `KAFKA_SOURCE_BOOTSTRAP_SERVERS`
//! there, and so on. `citizenk` checks the names of client settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Variables by name.
pub type Vars = BTreeMap<String, String>;

/// What the service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where files of topics are.
    pub data: PathBuf,
    /// The mapping file.
    pub mappings: PathBuf,
    /// The folder of templates.
    pub templates: PathBuf,
    /// The folder of topic-level mappings.
    pub topic_mappings: PathBuf,
    /// The source group; `None`: it is read without one.
    pub group: Option<String>,
    /// How often files are looked at.
    pub read_every: Duration,
    /// How often stats are made.
    pub stats_every: Duration,
    /// How often groups of services are looked at.
    pub groups_every: Duration,
    /// How many replaced texts of the configuration's files are kept.
    pub keep_versions: u32,
    /// Whether nothing may be changed over HTTP.
    pub read_only: bool,
    /// What the installation is called, e.g. `staging`.
    pub environment: Option<String>,
    /// A colour for it.
    pub colour: Option<String>,
    /// Whether this worker runs files; `None`: if it is worker 0.
    pub run_files: Option<bool>,
    /// This worker's number.
    pub worker_index: u32,
    /// How many workers there are.
    pub worker_count: u32,
    /// Whether the two clusters are given.
    pub has_source: bool,
    /// See `has_source`.
    pub has_target: bool,
}

/// Which of a topic's partitions a worker copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    index: u32,
    count: u32,
}

impl Share {
    /// All that it is given.
    pub const ALL: Self = Self { index: 0, count: 1 };

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, partition: i32) -> bool {
        u32::try_from(partition).is_ok_and(|partition| partition % self.count == self.index)
    }
}

impl Options {
    /// In a group the broker deals partitions out. Without one every worker is given all of them and leaves those
    /// that are another's.
    #[must_use]
    pub fn share(&self) -> Share {
        match self.group {
            Some(_) => Share::ALL,
            None => Share {
                index: self.worker_index,
                // Checked when it was read.
                count: self.worker_count.max(1),
            },
        }
    }
}

/// Variables of `citizenk` that come with the options.
pub type Translated = (Options, Vars);

const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Each is a whole file as it was: of a thousand mappings, some 300 KB.
const KEPT_VERSIONS: u32 = 200;

struct Reader<'a> {
    vars: &'a Vars,
    errors: Vec<String>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?.to_ascii_lowercase();
        match value.as_str() {
            "1" | "true" | "yes" | "on" => Some(true),
            "0" | "false" | "no" | "off" => Some(false),
            _ => {
                self.errors
                    .push(format!("{name}: `{value}` is neither 0 nor 1"));
                None
            }
        }
    }

    fn seconds(&mut self, name: &str, default: u64) -> Duration {
        let Some(text) = self.text(name) else {
            return Duration::from_secs(default);
        };
        match text.parse::<f64>() {
            Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Duration::from_secs_f64(seconds),
            _ => {
                self.errors.push(format!(
                    "{name}: `{text}` is no number of seconds from 0.1 to 86400"
                ));
                Duration::from_secs(default)
            }
        }
    }

    fn number(&mut self, name: &str, default: u32) -> u32 {
        let Some(text) = self.text(name) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            self.errors.push(format!("{name}: `{text}` is no number"));
            default
        })
    }
}

/// Options, and the environment with the variables of `citizenk` set.
///
/// # Errors
/// All mistakes, each with its variable. Values of secrets are in none.
pub fn translate(vars: &Vars) -> Result<Translated, Vec<String>> {
    let mut reader = Reader {
        vars,
        errors: Vec::new(),
    };
    let mut out = vars.clone();
    let path = |reader: &Reader<'_>, name: &str| reader.get(name).map(PathBuf::from);
    let data = path(&reader, "FILE_DATA_PATH").unwrap_or_else(|| PathBuf::from("./data"));
    let stats = match (
        reader.text("CACULATE_STATS_EVERY_SECONDS"),
        reader.text("CALCULATE_STATS_EVERY_SECONDS"),
    ) {
        (Some(first), Some(second)) if first != second => {
            let message = "CACULATE_STATS_EVERY_SECONDS and CALCULATE_STATS_EVERY_SECONDS are one setting and differ";
            reader.errors.push(message.to_owned());
            "CACULATE_STATS_EVERY_SECONDS"
        }
        (None, Some(_)) => "CALCULATE_STATS_EVERY_SECONDS",
        _ => "CACULATE_STATS_EVERY_SECONDS",
    };
    if let Some(level) = reader.get("LOG_LEVEL") {
        let level = level.to_ascii_lowercase();
        let level = match level.as_str() {
            "warning" => "warn",
            "critical" | "fatal" => "error",
            "notset" => "trace",
            other => other,
        };
        if ["trace", "debug", "info", "warn", "error", "off"].contains(&level) {
            out.entry("RUST_LOG".to_owned())
                .or_insert_with(|| level.to_owned());
        } else {
            reader.errors.push(format!(
                "LOG_LEVEL: `{level}` is none of debug, info, warning, error"
            ));
        }
    }
    if reader.flag("JSON_LOGGING") == Some(true) {
        out.entry("CITIZENK_LOG_FORMAT".to_owned())
            .or_insert_with(|| "json".to_owned());
    }
    if let Some(prefix) = reader.get("API_PREFIX") {
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            out.entry("CITIZENK_PREFIX".to_owned())
                .or_insert_with(|| format!("/{prefix}"));
        }
    }
    for side in ["SOURCE", "TARGET"] {
        cluster(&mut reader, side, &mut out);
    }
    let options = Options {
        mappings: path(&reader, "MAPPINGS_PATH").unwrap_or_else(|| data.join("mappings.json")),
        templates: path(&reader, "TEMPLATES_PATH").unwrap_or_else(|| data.join("templates")),
        topic_mappings: path(&reader, "TOPIC_MAPPINGS_PATH")
            .unwrap_or_else(|| data.join("topic_mappings")),
        data,
        group: reader.text("KAFKA_SOURCE_GROUP_NAME"),
        read_every: reader.seconds("READ_MAPPINGS_EVERY_SECONDS", 10),
        stats_every: reader.seconds(stats, 5),
        groups_every: reader.seconds("DELETE_GROUPS_EVERY_SECONDS", 30),
        keep_versions: reader.number("KEEP_VERSIONS", KEPT_VERSIONS),
        read_only: reader.flag("READ_ONLY").unwrap_or(false),
        environment: reader.text("ENVIRONMENT_NAME"),
        colour: reader.text("ENVIRONMENT_COLOUR"),
        run_files: reader.flag("RUN_FILE_SOURCES"),
        worker_index: reader.number("WORKER_INDEX", 0),
        worker_count: reader.number("WORKER_COUNT", 1),
        has_source: out.contains_key("KAFKA_SOURCE_BOOTSTRAP_SERVERS"),
        has_target: out.contains_key("KAFKA_TARGET_BOOTSTRAP_SERVERS"),
    };
    if options.keep_versions == 0 {
        let message = "KEEP_VERSIONS: it is at least 1, or nothing saved could be taken back";
        reader.errors.push(message.to_owned());
    }
    if options.worker_index >= options.worker_count {
        reader
            .errors
            .push("WORKER_INDEX: it is below WORKER_COUNT, and begins with 0".to_owned());
    }
    let peers = reader.get("CITIZENK_PEERS").unwrap_or_default();
    let others = peers
        .split(',')
        .filter(|url| !url.trim().is_empty())
        .count()
        > 1;
    if others && options.group.is_none() && options.worker_count == 1 {
        let message = "CITIZENK_PEERS names several workers, and without KAFKA_SOURCE_GROUP_NAME each of them would copy everything: set WORKER_COUNT, and WORKER_INDEX on each";
        reader.errors.push(message.to_owned());
    }
    if reader.errors.is_empty() {
        Ok((options, out))
    } else {
        Err(reader.errors)
    }
}

fn cluster(reader: &mut Reader<'_>, side: &str, out: &mut Vars) {
    let name = |rest: &str| format!("KAFKA_{side}_{rest}");
    if let Some(servers) = reader.text(&name("SERVER_URL")) {
        out.insert(name("BOOTSTRAP_SERVERS"), servers);
    }
    let tls = reader.flag(&name("USE_TLS")).unwrap_or(false);
    let mechanism = reader.text(&name("SASL_MECHANISM"));
    if let Some(mechanism) = &mechanism
        && !MECHANISMS.contains(&mechanism.as_str())
    {
        let known = MECHANISMS.join(", ");
        reader.errors.push(format!(
            "{}: `{mechanism}` is none of {known}",
            name("SASL_MECHANISM")
        ));
    }
    if mechanism.is_some() {
        for part in ["SASL_USERNAME", "SASL_PASSWORD"] {
            let file = name(&format!("{part}_FILE"));
            if reader.get(&name(part)).is_none() && reader.get(&file).is_none() {
                reader.errors.push(format!(
                    "{}: {} needs it",
                    name(part),
                    name("SASL_MECHANISM")
                ));
            }
        }
    }
    let protocol = match (tls, mechanism.is_some()) {
        (false, false) => None,
        (true, false) => Some("SSL"),
        (false, true) => Some("SASL_PLAINTEXT"),
        (true, true) => Some("SASL_SSL"),
    };
    if let Some(protocol) = protocol {
        out.insert(name("SECURITY_PROTOCOL"), protocol.to_owned());
    }
    let (client, owned): (&str, &[&str]) = match side {
        "SOURCE" => (
            "CONSUMER",
            &["GROUP_ID", "ENABLE_AUTO_COMMIT", "ENABLE_AUTO_OFFSET_STORE"],
        ),
        _ => ("PRODUCER", &["ALLOW_AUTO_CREATE_TOPICS"]),
    };
    let prefix = name("EXTRA_CONFIG_");
    for (variable, value) in reader
        .vars
        .iter()
        .filter(|(variable, _)| variable.starts_with(&prefix))
    {
        let key = variable[prefix.len()..].to_ascii_uppercase();
        if owned.contains(&key.as_str()) {
            let hint = if key == "GROUP_ID" {
                "; use KAFKA_SOURCE_GROUP_NAME"
            } else {
                ""
            };
            reader
                .errors
                .push(format!("{variable}: the Replicator sets this itself{hint}"));
            continue;
        }
        let shared = ["SECURITY_", "SASL_", "SSL_", "ENABLE_SSL_", "HTTPS_CA_"]
            .iter()
            .any(|part| key.starts_with(part));
        let to = if shared {
            name(&key)
        } else {
            name(&format!("{client}_{key}"))
        };
        out.insert(to, value.clone());
        out.remove(variable);
    }
    if side == "TARGET" {
        // Topics are there and configured; a typing error must not make one.
        out.insert(
            name("PRODUCER_ALLOW_AUTO_CREATE_TOPICS"),
            "false".to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(pairs: &[(&str, &str)]) -> Vars {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn documented_variables_become_settings_of_two_clusters() {
        let (options, out) = translate(&vars(&[
            ("LOG_LEVEL", "WARNING"),
            ("JSON_LOGGING", "1"),
            ("API_PREFIX", "replicator/"),
            ("FILE_DATA_PATH", "/d"),
            ("KAFKA_SOURCE_SERVER_URL", "a:1,b:2"),
            ("KAFKA_SOURCE_USE_TLS", "1"),
            ("KAFKA_SOURCE_SASL_MECHANISM", "SCRAM-SHA-512"),
            ("KAFKA_SOURCE_SASL_USERNAME", "u"),
            ("KAFKA_SOURCE_SASL_PASSWORD", "hunter2"),
            ("KAFKA_SOURCE_GROUP_NAME", "g"),
            ("KAFKA_SOURCE_EXTRA_CONFIG_FETCH_WAIT_MAX_MS", "50"),
            ("KAFKA_SOURCE_EXTRA_CONFIG_SSL_CA_LOCATION", "/ca.pem"),
            ("KAFKA_TARGET_SERVER_URL", "c:3"),
            ("KAFKA_TARGET_USE_TLS", "0"),
            ("KAFKA_TARGET_EXTRA_CONFIG_LINGER_MS", "20"),
            ("READ_MAPPINGS_EVERY_SECONDS", "1"),
            ("CALCULATE_STATS_EVERY_SECONDS", "2"),
            ("DELETE_GROUPS_EVERY_SECONDS", "3.5"),
        ]))
        .expect("valid");
        for (name, value) in [
            ("RUST_LOG", "warn"),
            ("CITIZENK_LOG_FORMAT", "json"),
            ("CITIZENK_PREFIX", "/replicator"),
            ("KAFKA_SOURCE_BOOTSTRAP_SERVERS", "a:1,b:2"),
            ("KAFKA_SOURCE_SECURITY_PROTOCOL", "SASL_SSL"),
            ("KAFKA_SOURCE_CONSUMER_FETCH_WAIT_MAX_MS", "50"),
            ("KAFKA_SOURCE_SSL_CA_LOCATION", "/ca.pem"),
            ("KAFKA_TARGET_BOOTSTRAP_SERVERS", "c:3"),
            ("KAFKA_TARGET_PRODUCER_LINGER_MS", "20"),
            ("KAFKA_TARGET_PRODUCER_ALLOW_AUTO_CREATE_TOPICS", "false"),
        ] {
            assert_eq!(out.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!out.contains_key("KAFKA_TARGET_SECURITY_PROTOCOL"));
        assert_eq!(options.mappings, PathBuf::from("/d/mappings.json"));
        assert_eq!(
            (options.group.as_deref(), options.has_source),
            (Some("g"), true)
        );
        assert_eq!(
            [
                options.read_every,
                options.stats_every,
                options.groups_every
            ]
            .map(|d| d.as_secs_f64()),
            [1.0, 2.0, 3.5]
        );
    }

    #[test]
    fn without_variables_there_are_the_documented_defaults() {
        let (options, _) = translate(&vars(&[
            ("KAFKA_SOURCE_GROUP_NAME", " "),
            ("API_PREFIX", "/"),
        ]))
        .expect("valid");
        assert_eq!(
            (options.group, options.data, options.read_only),
            (None, PathBuf::from("./data"), false)
        );
        assert_eq!(options.keep_versions, 200);
        assert_eq!(
            [
                options.read_every,
                options.stats_every,
                options.groups_every
            ]
            .map(|d| d.as_secs()),
            [10, 5, 30]
        );
    }

    #[test]
    fn without_a_group_each_partition_is_of_one_worker() {
        let share = |index: &str, group: &str| {
            let pairs = [
                ("WORKER_INDEX", index),
                ("WORKER_COUNT", "3"),
                ("KAFKA_SOURCE_GROUP_NAME", group),
            ];
            translate(&vars(&pairs)).expect("valid").0.share()
        };
        let shares = ["0", "1", "2"].map(|index| share(index, ""));
        for partition in 0..20 {
            let owners = shares.iter().filter(|share| share.has(partition));
            assert_eq!(owners.count(), 1, "{partition}");
        }
        assert_eq!(share("1", "g"), Share::ALL);
        let peers = ("CITIZENK_PEERS", "http://a:1,http://b:1");
        for more in [("KAFKA_SOURCE_GROUP_NAME", "g"), ("WORKER_COUNT", "2")] {
            assert!(translate(&vars(&[peers, more])).is_ok(), "{more:?}");
        }
        assert_eq!(translate(&vars(&[])).expect("valid").0.share(), Share::ALL);
    }

    #[test]
    fn mistakes_name_the_variable_and_no_secret() {
        for (pairs, part) in [
            (
                &[
                    ("KAFKA_SOURCE_SASL_MECHANISM", "GSSAPI"),
                    ("KAFKA_SOURCE_SASL_PASSWORD", "hunter2"),
                ][..],
                "KAFKA_SOURCE_SASL_MECHANISM: `GSSAPI` is none of PLAIN",
            ),
            (
                &[("KAFKA_TARGET_SASL_MECHANISM", "PLAIN")],
                "KAFKA_TARGET_SASL_PASSWORD: KAFKA_TARGET_SASL_MECHANISM needs it",
            ),
            (
                &[("KAFKA_TARGET_USE_TLS", "maybe")],
                "KAFKA_TARGET_USE_TLS: `maybe` is neither",
            ),
            (
                &[
                    ("CACULATE_STATS_EVERY_SECONDS", "1"),
                    ("CALCULATE_STATS_EVERY_SECONDS", "2"),
                ],
                "are one setting and differ",
            ),
            (
                &[("READ_MAPPINGS_EVERY_SECONDS", "soon")],
                "`soon` is no number of seconds",
            ),
            (&[("LOG_LEVEL", "loud")], "LOG_LEVEL: `loud`"),
            (
                &[("KAFKA_SOURCE_EXTRA_CONFIG_GROUP_ID", "x")],
                "use KAFKA_SOURCE_GROUP_NAME",
            ),
            (
                &[("KAFKA_SOURCE_EXTRA_CONFIG_ENABLE_AUTO_COMMIT", "true")],
                "sets this itself",
            ),
            (&[("KEEP_VERSIONS", "0")], "KEEP_VERSIONS: it is at least 1"),
            (&[("KEEP_VERSIONS", "all")], "`all` is no number"),
            (
                &[("WORKER_INDEX", "2"), ("WORKER_COUNT", "2")],
                "WORKER_INDEX: it is below",
            ),
            (
                &[("CITIZENK_PEERS", "http://a:1, http://b:1")],
                "CITIZENK_PEERS names several workers",
            ),
        ] {
            let errors = translate(&vars(pairs)).expect_err(part);
            assert!(
                errors.iter().any(|error| error.contains(part)),
                "{errors:?}"
            );
            assert!(!errors.concat().contains("hunter2"));
        }
    }
}
