//! Settings as they may be printed: by an allow-list, so that a new or foreign secret stays hidden too.

use std::borrow::Cow;
use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::source::{Setting, Source};
use super::tree::{Node, Table, Value};
use super::{Broker, Settings, kafka};
use crate::time::Human;

/// Stands for every value that is not printed.
pub(crate) const MASK: &str = "***";

/// A view of settings without secrets. `Display` prints a line per setting with its source, `Serialize`
/// a map from key to value.
pub struct Printable<'a> {
    entries: Vec<(String, Cow<'a, str>, Cow<'a, Source>)>,
}

impl<'a> Printable<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        let mut view = Self {
            entries: Vec::new(),
        };
        view.add("broker", servers(&settings.broker), &settings.broker.source);
        view.text("group", settings.group.as_ref());
        view.text("topic_prefix", settings.topic_prefix.as_ref());
        for (name, real) in &settings.topics {
            view.text(&format!("topics.{name}"), Some(real));
        }
        let http = &settings.http;
        view.add(
            "http.address",
            http.address.to_string(),
            &http.address.source,
        );
        view.text("http.prefix", Some(&http.prefix));
        if let Some(token) = &http.token {
            view.add("http.token", MASK, &token.source);
        }
        let (create, check) = (&settings.create_topics, &settings.check_topics);
        view.add("create_topics", create.to_string(), &create.source);
        view.add("check_topics", check.name(), &check.source);
        view.add("http.open", http.open.to_string(), &http.open.source);
        if let Some(connections) = &http.connections {
            view.add(
                "http.connections",
                connections.to_string(),
                &connections.source,
            );
        }
        view.add(
            "drain",
            Human(settings.drain.value).to_string(),
            &settings.drain.source,
        );
        view.add(
            "stall_after",
            Human(settings.stall_after.value).to_string(),
            &settings.stall_after.source,
        );
        view.add(
            "partition_buffer_bytes",
            settings.partition_buffer_bytes.to_string(),
            &settings.partition_buffer_bytes.source,
        );
        view.add("profile", settings.profile.name(), &settings.profile.source);
        view.text("log.filter", Some(&settings.log_filter));
        view.add(
            "log.format",
            settings.log_format.name(),
            &settings.log_format.source,
        );
        view.clients("kafka", &settings.consumer, &settings.producer);
        for (name, cluster) in &settings.clusters {
            let path = format!("clusters.{name}");
            let broker = &cluster.broker;
            view.add(format!("{path}.broker"), servers(broker), &broker.source);
            view.clients(&path, &cluster.consumer, &cluster.producer);
        }
        for (path, value, source) in settings.registries.printable() {
            view.add(path, mask_userinfo(value), source);
        }
        for (name, tuning) in &settings.agents {
            let path = format!("agents.{name}");
            let number = |setting: &'a Setting<usize>| (setting.to_string(), &setting.source);
            let time =
                |setting: &'a Setting<_>| (Human(setting.value).to_string(), &setting.source);
            let switch = |setting: &'a Setting<bool>| (setting.to_string(), &setting.source);
            for (key, entry) in [
                ("batch_size", tuning.batch_size.as_ref().map(number)),
                ("batch_timeout", tuning.batch_timeout.as_ref().map(time)),
                ("concurrency", tuning.concurrency.as_ref().map(number)),
                ("timeout", tuning.timeout.as_ref().map(time)),
                ("buffer_bytes", tuning.buffer_bytes.as_ref().map(number)),
                ("enabled", tuning.enabled.as_ref().map(switch)),
            ] {
                if let Some((value, source)) = entry {
                    view.add(format!("{path}.{key}"), value, source);
                }
            }
        }
        // Nobody knows which of the user's own settings are secret.
        view.masked("app", &settings.app.table);
        for var in &settings.app.env {
            view.entries.push((
                format!("app ({})", var.name),
                Cow::Borrowed(MASK),
                Cow::Owned(Source::Env(var.name.clone())),
            ));
        }
        view
    }

    fn clients(
        &mut self,
        path: &str,
        consumer: &'a kafka::ClientSettings,
        producer: &'a kafka::ClientSettings,
    ) {
        for (side, map) in [("consumer", consumer), ("producer", producer)] {
            for (key, setting) in map {
                let value = kafka::printable(key, setting);
                self.add(format!("{path}.{side}.{key}"), value, &setting.source);
            }
        }
    }

    fn add(&mut self, key: impl Into<String>, value: impl Into<Cow<'a, str>>, source: &'a Source) {
        self.entries
            .push((key.into(), value.into(), Cow::Borrowed(source)));
    }

    fn text(&mut self, key: &str, setting: Option<&'a Setting<String>>) {
        if let Some(setting) = setting {
            self.add(key, mask_userinfo(setting), &setting.source);
        }
    }

    fn masked(&mut self, path: &str, table: &'a Table) {
        for (key, Node { value, source }) in table {
            let path = format!("{path}.{key}");
            match value {
                Value::Table(inner) => self.masked(&path, inner),
                _ => self.add(path, MASK, source),
            }
        }
    }
}

fn servers(broker: &Broker) -> Cow<'_, str> {
    match broker {
        Broker::Cluster(servers) => mask_userinfo(servers),
        Broker::Embedded => Cow::Borrowed("embedded"),
        Broker::Unset => Cow::Borrowed("none"),
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value, source) in &self.entries {
            // Escaped, so that no value can fake a line.
            writeln!(f, "{key} = {} ({source})", value.escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.entries.iter().map(|(key, value, _)| (key, value)))
            .finish()
    }
}

impl Serialize for Printable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value, _) in &self.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Hides `user:password@` in a URL or a list of them: everything before the last `@` except the first
/// scheme, since passwords may contain `@`, `/` and `,`.
pub(crate) fn mask_userinfo(text: &str) -> Cow<'_, str> {
    match text.rsplit_once('@') {
        None => Cow::Borrowed(text),
        Some((before, rest)) => Cow::Owned(match before.split_once("://") {
            Some((scheme, _))
                if scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
            {
                format!("{scheme}://{MASK}@{rest}")
            }
            _ => format!("{MASK}@{rest}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_is_masked() {
        for (text, masked) in [
            ("a:9092", "a:9092"),
            ("http://u:p@h:1/x", "http://***@h:1/x"),
            ("u:p@h:1,k:2", "***@h:1,k:2"),
            ("https://u:p@ss/w,x@h", "https://***@h"),
            ("a:1,u:p@h", "***@h"),
            ("u:p://x@h", "***@h"),
        ] {
            assert_eq!(mask_userinfo(text), masked);
        }
    }
}
