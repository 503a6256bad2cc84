//! How often the source is asked for records while there are none.

use std::collections::{BTreeMap, BTreeSet};

use replicator_domain::env::Options;
use replicator_domain::load;

use crate::store::Store;

/// librdkafka's, and what the library sets in its place.
const SETTING: &str = "FETCH_WAIT_MAX_MS";
const LEAST: usize = 100;
const MOST: usize = 1_000;

/// With many mappings a broker may hold back an answer without records for longer: each names all partitions, and
/// librdkafka walks through all topics for each of them. What that costs while nothing happens is the square of how
/// many there are: ten a second for 1,000 topics took 6 % of a processor.
///
/// Only in a group. There whoever comes late waits for the group anyway, which takes longer; without one, for the
/// end of the request under way.
pub(crate) fn set(options: &Options, variables: &mut BTreeMap<String, String>) {
    let names = ["KAFKA_SOURCE_CONSUMER_", "KAFKA_CONSUMER_"].map(|own| format!("{own}{SETTING}"));
    if options.group.is_none() || names.iter().any(|name| variables.contains_key(name)) {
        return;
    }
    // A configuration that cannot be read is said so when it is to be used.
    let Ok((snapshot, _)) = Store::new(options).read() else {
        return;
    };
    let template = |name: &str| snapshot.templates.get(name).cloned();
    let loaded = load("mappings.json", &snapshot.mappings, &template);
    let mappings = loaded.mappings.iter().map(|effective| &effective.mapping);
    let topics: BTreeSet<&str> = mappings
        .filter(|mapping| mapping.enabled && !mapping.source_is_file)
        .flat_map(|mapping| mapping.pairs())
        .map(|pair| pair.source)
        .collect();
    if topics.len() > LEAST {
        let [name, _] = names;
        variables.insert(name, topics.len().min(MOST).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicator_domain::env::translate;
    use serde_json::json;

    /// What is set for so many topics, with these variables.
    fn found(topics: usize, given: &[(&str, &str)]) -> Option<String> {
        let name = format!("fetching-{}-{topics}-{}", std::process::id(), given.len());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mapping = |number| json!({ "name": format!("m{number}"), "source_topic_name": format!("t{number}"), "target_topic_name": "all" });
        let mut mappings: Vec<_> = (0..topics).map(mapping).collect();
        // It reads nothing, or what another reads.
        mappings.push(json!({ "name": "off", "enabled": false, "source_topic_name": "x", "target_topic_name": "all" }));
        mappings.push(
            json!({ "name": "again", "source_topic_name": "t0", "target_topic_name": "other" }),
        );
        let text = json!(mappings).to_string();
        std::fs::write(folder.join("mappings.json"), text).unwrap();
        let mut vars =
            BTreeMap::from([("FILE_DATA_PATH".to_owned(), folder.display().to_string())]);
        vars.extend(
            given
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let (options, mut variables) = translate(&vars).unwrap();
        set(&options, &mut variables);
        std::fs::remove_dir_all(folder).unwrap();
        variables.remove("KAFKA_SOURCE_CONSUMER_FETCH_WAIT_MAX_MS")
    }

    #[test]
    fn many_topics_of_a_group_are_asked_for_less_often() {
        let group = ("KAFKA_SOURCE_GROUP_NAME", "g");
        let value = |value: &str| Some(value.to_owned());
        assert_eq!(found(100, &[group]), None);
        assert_eq!(found(101, &[group]), value("101"));
        assert_eq!(found(1_200, &[group]), value("1000"));
        assert_eq!(found(1_200, &[]), None, "without a group");
        let own = ("KAFKA_SOURCE_EXTRA_CONFIG_FETCH_WAIT_MAX_MS", "7");
        assert_eq!(found(1_200, &[group, own]), value("7"));
    }
}
