//! What can be said of a request before it is sent. Pure.

use std::collections::BTreeSet;

use super::plan::OffsetPlan;
use super::types::{ConfigChange, NewTopic};
use crate::topic::check_name;

/// Kafka's own topics: nothing here writes to them or changes them.
const INTERNAL: [&str; 3] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];
/// More is a slip of the pen, and would take a controller minutes.
const MOST_PARTITIONS: u32 = 100_000;
/// Kafka's requests carry the number in 16 bits, with a sign.
const MOST_REPLICAS: u16 = 32_767;
const MOST_CONFIGS: usize = 200;
const LONGEST_CONFIG: usize = 64 * 1024;
const LONGEST_GROUP: usize = 32_767;
/// Names or partitions in one request.
pub(super) const MOST_AT_ONCE: usize = 100_000;

pub(super) fn topic(name: &str) -> Result<(), String> {
    check_name(name)
}

/// As [`topic`], for what changes it.
pub(super) fn own_topic(name: &str) -> Result<(), String> {
    check_name(name)?;
    if INTERNAL.contains(&name) {
        return Err("it is one of Kafka's own topics and is not to be changed".to_owned());
    }
    Ok(())
}

pub(super) fn group(name: &str) -> Result<(), String> {
    crate::config::parse_group(name)?;
    if name.len() > LONGEST_GROUP {
        return Err(format!(
            "a group's name has at most {LONGEST_GROUP} bytes, this one {}",
            name.len()
        ));
    }
    Ok(())
}

pub(super) fn partitions(count: u32) -> Result<(), String> {
    if (1..=MOST_PARTITIONS).contains(&count) {
        return Ok(());
    }
    Err(format!(
        "a topic has 1 to {MOST_PARTITIONS} partitions, not {count}"
    ))
}

pub(super) fn config(name: &str, value: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 255 || !name.chars().all(known) {
        return Err(format!(
            "`{}` cannot be a config's name",
            name.escape_debug()
        ));
    }
    if value.len() > LONGEST_CONFIG || value.contains('\0') {
        return Err(format!(
            "the value of config `{name}` is longer than {LONGEST_CONFIG} bytes or contains a zero byte"
        ));
    }
    Ok(())
}

pub(super) fn new_topic(topic: &NewTopic) -> Result<(), String> {
    own_topic(&topic.name)?;
    topic.partitions.map_or(Ok(()), partitions)?;
    if topic
        .replication
        .is_some_and(|replicas| replicas == 0 || replicas > MOST_REPLICAS)
    {
        return Err(format!(
            "a topic has 1 to {MOST_REPLICAS} replicas, and no more than there are brokers"
        ));
    }
    at_most(topic.configs.len(), MOST_CONFIGS, "configs")?;
    let mut names: Vec<&str> = topic.configs.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("config `{}` is given twice", twice[0]));
    }
    topic
        .configs
        .iter()
        .try_for_each(|(name, value)| config(name, value))
}

pub(super) fn changes(changes: &[ConfigChange]) -> Result<(), String> {
    if changes.is_empty() {
        return Err("no config is given to change".to_owned());
    }
    at_most(changes.len(), MOST_CONFIGS, "configs")?;
    changes.iter().try_for_each(|change| match change {
        ConfigChange::Set(name, value) => config(name, value),
        ConfigChange::Reset(name) => config(name, ""),
    })
}

/// Plans come back from outside.
pub(super) fn plan(plan: &OffsetPlan) -> Result<(), String> {
    at_most(plan.changes.len(), MOST_AT_ONCE, "partitions")?;
    let mut seen = BTreeSet::new();
    for change in &plan.changes {
        let partition = &change.partition;
        own_topic(&partition.topic)?;
        if partition.partition < 0 || change.after < 0 {
            return Err(format!(
                "partition {partition} at {} is below zero",
                change.after
            ));
        }
        if !seen.insert(partition) {
            return Err(format!("partition {partition} is given twice"));
        }
    }
    Ok(())
}

pub(super) fn at_most(count: usize, most: usize, what: &str) -> Result<(), String> {
    if count <= most {
        return Ok(());
    }
    Err(format!(
        "{count} {what} at once are too many; at most {most}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{OffsetChange, PartitionId};

    #[test]
    fn a_plan_from_outside_is_looked_at() {
        let change = |topic: &str, partition, after| OffsetChange {
            partition: PartitionId::new(topic, partition),
            before: None,
            after,
            low: 0,
            high: 9,
            clamped: false,
        };
        let of = |changes: Vec<OffsetChange>| {
            plan(&OffsetPlan {
                group: "g".to_owned(),
                members: 0,
                changes,
            })
        };
        assert_eq!(of(vec![change("a", 0, 5), change("a", 1, 5)]), Ok(()));
        for (bad, part) in [
            (vec![change("__consumer_offsets", 0, 5)], "Kafka's own"),
            (vec![change("a/b", 0, 5)], "a/b"),
            (vec![change("a", -1, 5)], "below zero"),
            (vec![change("a", 0, -1001)], "below zero"),
            (vec![change("a", 0, 5), change("a", 0, 6)], "twice"),
        ] {
            let refused = of(bad).unwrap_err();
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }

    #[test]
    fn what_cannot_be_right_is_not_sent() {
        for bad in [
            "",
            "..",
            "; rm -rf /",
            "../x",
            "a\r\nb",
            "__consumer_offsets",
        ] {
            assert!(own_topic(bad).is_err(), "{bad:?}");
        }
        assert!(topic("__consumer_offsets").is_ok(), "it may be looked at");
        assert!(own_topic(&"x".repeat(300)).is_err());
        for bad in ["", "a\nb", &"x".repeat(40_000)] {
            assert!(group(bad).is_err());
        }
        assert!(group("shop workers").is_ok());
        let bad = [
            NewTopic::new("t").partitions(0),
            NewTopic::new("t").partitions(u32::MAX),
            NewTopic::new("t").replication(0),
            NewTopic::new("t").replication(40_000),
            NewTopic::new("t").config("a b", "1"),
            NewTopic::new("t").config("a", "1\0"),
            NewTopic::new("t").config("a", "1").config("a", "2"),
        ];
        for topic in bad {
            assert!(new_topic(&topic).is_err(), "{topic:?}");
        }
        let good = NewTopic::new("t").partitions(1).replication(3);
        assert_eq!(new_topic(&good.config("retention.ms", "-1")), Ok(()));
        assert!(changes(&[]).is_err());
        assert!(changes(&[ConfigChange::reset("")]).is_err());
    }
}
