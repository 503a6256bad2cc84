//! What topics are called: in the program, where one of a cluster with a name is `CLUSTER/NAME`, and on the
//! broker.

use std::collections::HashMap;

/// The cluster of a topic, if it is one with a name, and the topic's name there. Names on brokers have no `/`.
pub(crate) fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        // A pattern that begins so has its `/` for itself.
        Some((cluster, topic)) if !cluster.starts_with('^') => (Some(cluster), topic),
        _ => (None, name),
    }
}

/// Names of topics on the broker: the program's own, an override, or with a prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicNames {
    pub(crate) renamed: HashMap<String, String>,
    pub(crate) prefix: String,
}

impl TopicNames {
    /// On its cluster.
    pub(crate) fn real(&self, name: &str) -> String {
        match self.renamed.get(name) {
            Some(real) => real.clone(),
            None => format!("{}{}", self.prefix, split_name(name).1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_of_a_cluster_is_renamed_there_alone() {
        let names = TopicNames {
            renamed: [("orders", "o2"), ("eu/orders", "o3")]
                .map(|(name, real)| (name.to_owned(), real.to_owned()))
                .into(),
            prefix: "staging.".to_owned(),
        };
        for (name, real) in [
            ("orders", "o2"),
            ("eu/orders", "o3"),
            ("us/orders", "staging.orders"),
            ("other", "staging.other"),
        ] {
            assert_eq!(names.real(name), real);
        }
        assert_eq!(split_name("eu/^a.*"), (Some("eu"), "^a.*"));
        assert_eq!(split_name("^a/b"), (None, "^a/b"));
    }
}
