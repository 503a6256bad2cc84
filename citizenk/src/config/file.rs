//! The settings file, checked for shape: every key known, every value of the right type. What the
//! values mean is checked later, when it is clear that they are not overridden.

use super::agents::{self, AgentTuning};
use super::kafka::{self, ClientSettings, Side};
use super::registry::{self, AllGiven};
use super::source::{Setting, Source};
use super::tree::{Node, Table, Value};
use crate::error::ConfigError;
use crate::suggest::did_you_mean;

/// What a file may say; everything is optional.
#[derive(Default)]
pub(super) struct FileSettings {
    pub(super) group: Option<Setting<String>>,
    pub(super) topic_prefix: Option<Setting<String>>,
    pub(super) topics: Vec<(String, Setting<String>)>,
    pub(super) drain: Option<Setting<String>>,
    pub(super) stall_after: Option<Setting<String>>,
    pub(super) partition_buffer_bytes: Option<Setting<usize>>,
    pub(super) profile: Option<Setting<String>>,
    pub(super) create_topics: Option<Setting<bool>>,
    pub(super) check_topics: Option<Setting<String>>,
    pub(super) http_address: Option<Setting<String>>,
    pub(super) http_prefix: Option<Setting<String>>,
    pub(super) http_token: Option<Setting<String>>,
    pub(super) http_open: Option<Setting<bool>>,
    pub(super) http_connections: Option<Setting<usize>>,
    pub(super) log_filter: Option<Setting<String>>,
    pub(super) log_format: Option<Setting<String>>,
    pub(super) kafka: FileCluster,
    pub(super) clusters: Vec<(String, FileCluster)>,
    pub(super) agents: Vec<(String, AgentTuning)>,
    pub(super) registries: AllGiven,
    pub(super) app: Table,
}

/// What a file may say about one cluster: `[kafka]`, or `[clusters.NAME]`.
#[derive(Default)]
pub(super) struct FileCluster {
    pub(super) bootstrap_servers: Option<Setting<String>>,
    pub(super) shared: ClientSettings,
    pub(super) consumer: ClientSettings,
    pub(super) producer: ClientSettings,
}

/// Reads tables and collects what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) errors: &'a mut Vec<ConfigError>,
}

impl Reader<'_> {
    pub(super) fn file(&mut self, mut root: Table) -> FileSettings {
        let mut http = self.table(&mut root, "", "http");
        let mut log = self.table(&mut root, "", "log");
        let kafka = self.table(&mut root, "", "kafka");
        let settings = FileSettings {
            group: self.text(&mut root, "", "group"),
            topic_prefix: self.text(&mut root, "", "topic_prefix"),
            drain: self.text(&mut root, "", "drain"),
            stall_after: self.text(&mut root, "", "stall_after"),
            partition_buffer_bytes: self.positive(&mut root, "", "partition_buffer_bytes"),
            profile: self.text(&mut root, "", "profile"),
            topics: self.topics(&mut root),
            create_topics: self.boolean(&mut root, "", "create_topics"),
            check_topics: self.text(&mut root, "", "check_topics"),
            http_address: self.text(&mut http, "http", "address"),
            http_prefix: self.text(&mut http, "http", "prefix"),
            http_token: self.text(&mut http, "http", "token"),
            http_open: self.boolean(&mut http, "http", "open"),
            http_connections: self.positive(&mut http, "http", "connections"),
            log_filter: self.text(&mut log, "log", "filter"),
            log_format: self.text(&mut log, "log", "format"),
            kafka: self.cluster("kafka", kafka),
            clusters: self.clusters(&mut root),
            agents: self.agents(&mut root),
            registries: self.registries(&mut root),
            app: self.table(&mut root, "", "app"),
        };
        self.rest(
            root,
            "",
            &[
                "group",
                "topic_prefix",
                "drain",
                "stall_after",
                "partition_buffer_bytes",
                "profile",
                "create_topics",
                "check_topics",
                "topics",
                "http",
                "log",
                "kafka",
                "clusters",
                "registry",
                "registries",
                "agents",
                "app",
            ],
        );
        self.rest(
            http,
            "http",
            &["address", "prefix", "token", "open", "connections"],
        );
        self.rest(log, "log", &["filter", "format"]);
        settings
    }

    /// Everything that is left is unknown.
    pub(super) fn rest(&mut self, table: Table, path: &str, known: &[&str]) {
        for (key, node) in table {
            let hint = did_you_mean(&key, known.iter().copied());
            let hint = if hint.is_empty() {
                format!("; known are {}", known.join(", "))
            } else {
                hint
            };
            let path = join(path, &key);
            self.errors
                .push(node.source.error(&path, format!("unknown key{hint}")));
        }
    }

    pub(super) fn text(
        &mut self,
        table: &mut Table,
        path: &str,
        key: &str,
    ) -> Option<Setting<String>> {
        let node = table.remove(key)?;
        match node.value {
            Value::Text(text) => Some(Setting::new(text, node.source)),
            other => self.wrong(&node.source, &join(path, key), "a text in quotes", &other),
        }
    }

    pub(super) fn boolean(
        &mut self,
        table: &mut Table,
        path: &str,
        key: &str,
    ) -> Option<Setting<bool>> {
        let node = table.remove(key)?;
        match node.value {
            Value::Boolean(value) => Some(Setting::new(value, node.source)),
            other => self.wrong(&node.source, &join(path, key), "`true` or `false`", &other),
        }
    }

    pub(super) fn positive(
        &mut self,
        table: &mut Table,
        path: &str,
        key: &str,
    ) -> Option<Setting<usize>> {
        let node = table.remove(key)?;
        let path = join(path, key);
        match node.value {
            Value::Integer(number) => match usize::try_from(number) {
                Ok(value) if value > 0 => Some(Setting::new(value, node.source)),
                _ => {
                    self.errors
                        .push(node.source.error(&path, "must be at least 1"));
                    None
                }
            },
            other => self.wrong(&node.source, &path, "a number without quotes", &other),
        }
    }

    fn wrong<T>(&mut self, source: &Source, path: &str, wanted: &str, found: &Value) -> Option<T> {
        let message = format!("must be {wanted}, not {}", found.kind());
        self.errors.push(source.error(path, message));
        None
    }

    fn table(&mut self, parent: &mut Table, path: &str, key: &str) -> Table {
        match parent.remove(key) {
            Some(Node {
                value: Value::Table(table),
                ..
            }) => table,
            Some(Node { value, source }) => {
                let path = join(path, key);
                let wanted = format!("a table, `[{path}]`");
                self.wrong(&source, &path, &wanted, &value)
                    .unwrap_or_default()
            }
            None => Table::new(),
        }
    }

    fn topics(&mut self, root: &mut Table) -> Vec<(String, Setting<String>)> {
        let mut table = self.table(root, "", "topics");
        // Names with dots need no quotes: `orders.v1 = ".."` is a nested table in TOML.
        let flat = flatten(std::mem::take(&mut table));
        flat.into_iter()
            .filter_map(|(name, node)| match node.value {
                Value::Text(text) => Some((name, Setting::new(text, node.source))),
                other => self.wrong(
                    &node.source,
                    &join("topics", &name),
                    "a text in quotes",
                    &other,
                ),
            })
            .collect()
    }

    /// Keys of the client library contain dots, which TOML reads as nested tables unless quoted.
    fn client(&mut self, path: &str, table: Table) -> ClientSettings {
        let mut settings = ClientSettings::new();
        for (key, Node { value, source }) in flatten(table) {
            let text = match value {
                Value::Text(text) => Some(text),
                Value::Integer(number) => Some(number.to_string()),
                Value::Float(number) => Some(number.to_string()),
                Value::Boolean(value) => Some(value.to_string()),
                other => self.wrong(
                    &source,
                    &join(path, &key),
                    "a text, number or boolean",
                    &other,
                ),
            };
            if let Some(text) = text {
                kafka::put(&mut settings, &key, Setting::new(text, source));
            }
        }
        settings
    }

    fn cluster(&mut self, path: &str, mut table: Table) -> FileCluster {
        let consumer = self.table(&mut table, path, "consumer");
        let producer = self.table(&mut table, path, "producer");
        let mut shared = self.client(path, table);
        FileCluster {
            bootstrap_servers: shared.remove("bootstrap.servers"),
            shared,
            consumer: self.client(&join(path, "consumer"), consumer),
            producer: self.client(&join(path, "producer"), producer),
        }
    }

    fn clusters(&mut self, root: &mut Table) -> Vec<(String, FileCluster)> {
        let table = self.table(root, "", "clusters");
        table
            .into_iter()
            .filter_map(|(name, node)| {
                let path = join("clusters", &name);
                match node.value {
                    Value::Table(table) => Some((name, self.cluster(&path, table))),
                    other => {
                        let wanted = format!("a table, `[{path}]`");
                        self.wrong(&node.source, &path, &wanted, &other)
                    }
                }
            })
            .collect()
    }

    fn registries(&mut self, root: &mut Table) -> AllGiven {
        let mut given = AllGiven::new();
        let own = self.table(root, "", "registry");
        if !own.is_empty() {
            let own = self.client("registry", own);
            given.insert(registry::DEFAULT.to_owned(), own);
        }
        for (name, node) in self.table(root, "", "registries") {
            let path = join("registries", &name);
            match node.value {
                Value::Table(table) => {
                    if name == registry::DEFAULT {
                        let message = "the registry without a name is `[registry]`";
                        self.errors.push(node.source.error(&path, message));
                    } else {
                        let table = self.client(&path, table);
                        given.insert(name, table);
                    }
                }
                other => {
                    let wanted = format!("a table, `[{path}]`");
                    let _: Option<()> = self.wrong(&node.source, &path, &wanted, &other);
                }
            }
        }
        given
    }

    fn agents(&mut self, root: &mut Table) -> Vec<(String, AgentTuning)> {
        let table = self.table(root, "", "agents");
        table
            .into_iter()
            .filter_map(|(name, node)| {
                let path = join("agents", &name);
                match node.value {
                    Value::Table(table) => {
                        Some((name, agents::read(self, &path, node.source, table)))
                    }
                    other => {
                        let wanted = format!("a table, `[{path}]`");
                        self.wrong(&node.source, &path, &wanted, &other)
                    }
                }
            })
            .collect()
    }
}

/// Checks a table of client settings and adds warnings about keys that look misspelled.
pub(super) fn check_client(
    side: Side,
    path: &str,
    settings: &ClientSettings,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<String>,
) {
    for (key, setting) in settings {
        if let Err(message) = kafka::check(side, key, setting) {
            errors.push(setting.source.error(&join(path, key), message));
        } else if let Some(weakness) = kafka::weakness(key, setting) {
            warnings.push(format!("{}: `{key}`: {weakness}", setting.source));
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn flatten(table: Table) -> Vec<(String, Node)> {
    let mut flat = Vec::new();
    for (key, node) in table {
        match node.value {
            Value::Table(inner) => flat.extend(
                flatten(inner)
                    .into_iter()
                    .map(|(rest, node)| (format!("{key}.{rest}"), node)),
            ),
            _ => flat.push((key, node)),
        }
    }
    flat
}
