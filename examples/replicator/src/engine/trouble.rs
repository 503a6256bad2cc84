//! What is wrong with a run that goes on: records that hold their partitions, clusters and topics that are not there.
//!
//! In: what became of each partition's batches, and what clusters answer. Out: one text for the stats, and what is
//! news of it.

use std::collections::BTreeMap;

/// A record that holds its partition.
#[derive(Debug)]
struct Held {
    offset: i64,
    reason: String,
    /// It was found in the batch that is handled now.
    now: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    held: BTreeMap<i32, Held>,
    /// A topic or a cluster that was missing when it was last looked for.
    missing: Option<String>,
    /// Why the source does not say how far it is.
    silent: Option<String>,
}

impl Troubles {
    /// A record holds its partition; answers whether that is news.
    pub(crate) fn hold(&mut self, partition: i32, offset: i64, reason: &str) -> bool {
        let held = Held {
            offset,
            reason: reason.to_owned(),
            now: true,
        };
        let before = self.held.insert(partition, held);
        before.is_none_or(|before| (before.offset, &*before.reason) != (offset, reason))
    }

    /// A batch failed; answers whether that is news. `reason` counts where no record of it was found to hold.
    pub(crate) fn failed(&mut self, partition: i32, offset: i64, reason: &str) -> bool {
        match self.held.get_mut(&partition).filter(|held| held.now) {
            Some(held) => {
                held.now = false;
                false
            }
            None => {
                let news = self.hold(partition, offset, reason);
                if let Some(held) = self.held.get_mut(&partition) {
                    held.now = false;
                }
                news
            }
        }
    }

    /// Records were handled up to this offset. Later ones, and other partitions, are still held.
    pub(crate) fn handled(&mut self, partition: i32, offset: i64) {
        let over = |held: &Held| held.offset <= offset;
        if self.held.get(&partition).is_some_and(over) {
            self.held.remove(&partition);
        }
    }

    /// Of other partitions others take care by now.
    pub(crate) fn keep(&mut self, is_mine: impl Fn(i32) -> bool) {
        self.held.retain(|partition, _| is_mine(*partition));
    }

    /// Says what is missing; answers whether that is news.
    pub(crate) fn missing(&mut self, what: Option<String>) -> bool {
        let news = what.is_some() && self.missing != what;
        self.missing = what;
        news
    }

    /// Says why the source does not answer; answers whether that is news.
    pub(crate) fn silent(&mut self, why: Option<String>) -> bool {
        let news = why.is_some() && self.silent.is_none();
        self.silent = why;
        news
    }

    /// What it waits for.
    pub(crate) fn waits(&self) -> Option<String> {
        self.missing.clone().or_else(|| self.silent.clone())
    }

    /// Which record holds which partition of `topic`.
    pub(crate) fn fails(&self, topic: &str) -> Option<String> {
        let (partition, Held { offset, reason, .. }) = self.held.first_key_value()?;
        let more = match self.held.len() - 1 {
            0 => String::new(),
            1 => " (and one more partition)".to_owned(),
            more => format!(" (and {more} more partitions)"),
        };
        Some(format!("{topic}/{partition}@{offset}: {reason}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_troubles_of_its_own() {
        let mut troubles = Troubles::default();
        assert!(troubles.hold(1, 7, "no JSON"));
        assert!(!troubles.failed(1, 5, "the batch failed"));
        assert!(troubles.failed(2, 3, "the disk is full"));
        troubles.handled(0, 9);
        troubles.handled(1, 6);
        let both = troubles.fails("A").expect("trouble");
        assert_eq!(both, "A/1@7: no JSON (and one more partition)");
        // Tried again: nothing new.
        assert!(!troubles.hold(1, 7, "no JSON") && !troubles.failed(1, 5, "the batch failed"));
        assert!(!troubles.failed(2, 3, "the disk is full"));
        troubles.handled(1, 7);
        let other = troubles.fails("A").expect("trouble");
        assert_eq!(other, "A/2@3: the disk is full");
        assert!(troubles.failed(2, 3, "the disk is gone"));
        troubles.keep(|partition| partition != 2);
        assert_eq!(troubles.fails("A"), None);
    }

    #[test]
    fn what_is_missing_is_news_once() {
        let mut troubles = Troubles::default();
        let gone = || Some("gone".to_owned());
        assert!(troubles.missing(gone()) && !troubles.missing(gone()));
        assert!(
            troubles.silent(Some("a 1".to_owned())) && !troubles.silent(Some("a 2".to_owned()))
        );
        assert_eq!(troubles.waits(), gone());
        assert!(!troubles.missing(None) && troubles.missing(gone()));
    }
}
