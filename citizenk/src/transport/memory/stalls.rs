//! Orders to deliver nothing, as a client does that has lost a wake-up.

use std::collections::BTreeMap;

use crate::record::TopicPartition;

/// When a partition whose records the client withholds is delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Withheld {
    /// When its position is sought.
    UntilSeek,
    /// When fetching of it begins anew.
    UntilRestart,
    /// Until the process is started again.
    ForEver,
}

#[derive(Debug, Default)]
pub(super) struct Stalls {
    withheld: BTreeMap<TopicPartition, Withheld>,
    /// Offsets behind the last record that no record will ever have, as marks of transactions.
    empty: BTreeMap<TopicPartition, i64>,
}

impl Stalls {
    pub(super) fn order(&mut self, partition: TopicPartition, until: Option<Withheld>) {
        match until {
            Some(until) => self.withheld.insert(partition, until),
            None => self.withheld.remove(&partition),
        };
    }

    pub(super) fn set_empty(&mut self, partition: TopicPartition, offsets: i64) {
        self.empty.insert(partition, offsets);
    }

    pub(super) fn empty(&self, partition: &TopicPartition) -> i64 {
        self.empty.get(partition).copied().unwrap_or(0)
    }

    pub(super) fn holds(&self, partition: &TopicPartition) -> bool {
        self.withheld.contains_key(partition)
    }

    pub(super) fn sought(&mut self, partition: &TopicPartition, anew: bool) {
        let most = if anew {
            Withheld::UntilRestart
        } else {
            Withheld::UntilSeek
        };
        if self
            .withheld
            .get(partition)
            .is_some_and(|until| *until <= most)
        {
            self.withheld.remove(partition);
        }
    }
}
