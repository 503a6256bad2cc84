//! Topics and what is read from and written to their logs.

use super::super::errors::unknown_partition;
use super::super::log::{Fetched, NewRecord, TopicLog};
use super::super::producer::{Report, Waiting};
use super::State;
use crate::record::TopicPartition;
use crate::transport::{Delivered, TransportError, Watermarks};

impl State {
    /// Creates the topic or gives it more partitions; answers whether anything changed.
    pub(in super::super) fn ensure_topic(&mut self, name: &str, partitions: Option<usize>) -> bool {
        let (name, changed) = match self.topics.get_mut(name) {
            Some(log) => {
                let before = log.partitions();
                log.grow(partitions.unwrap_or_default());
                (log.name().clone(), before != log.partitions())
            }
            None => {
                let log = TopicLog::new(name.into(), partitions.unwrap_or(self.default_partitions));
                let name = log.name().clone();
                self.topics.insert(name.clone(), log);
                (name, true)
            }
        };
        if changed {
            self.bump();
            let count = self.topics[&name].partitions();
            for group in self.groups.values_mut() {
                group.topic_changed(&name, count);
            }
            self.poke_topic(&name);
        }
        changed
    }

    /// Appends, unless a failure was ordered for the topic.
    pub(in super::super) fn append(
        &mut self,
        topic: &str,
        place: impl FnOnce(&mut TopicLog, &NewRecord) -> i32,
        record: NewRecord,
    ) -> Result<Delivered, TransportError> {
        self.ensure_topic(topic, None);
        self.bump();
        let sequence = self.sequence;
        let log = self
            .topics
            .get_mut(topic)
            .ok_or_else(|| unknown_partition(topic, -1))?;
        let partition = place(log, &record);
        let offset = log
            .append(partition, record, sequence)
            .ok_or_else(|| unknown_partition(topic, partition))?;
        self.sequence += 1;
        self.poke_topic(topic);
        Ok(Delivered { partition, offset })
    }

    pub(in super::super) fn fail_next(
        &mut self,
        topic: &str,
        count: usize,
        error: &TransportError,
    ) {
        let queue = self.failures.entry(topic.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(error.clone(), count));
    }

    pub(in super::super) fn ordered_failure(&mut self, topic: &str) -> Option<TransportError> {
        self.failures.get_mut(topic)?.pop_front()
    }

    pub(in super::super) fn append_waiting(&mut self, waiting: Waiting) {
        let topic = waiting.topic.name.as_str();
        let result = match self.ordered_failure(topic) {
            Some(error) => Err(error),
            None if self.producers.is_transactional(waiting.producer) => self.stage(&waiting),
            None => self.append(
                topic,
                |log, record| waiting.place(log, record),
                waiting.record.clone(),
            ),
        };
        self.producers.report(
            waiting.producer,
            Report {
                sink: waiting.sink,
                index: waiting.index,
                result,
            },
        );
    }

    pub(in super::super) fn truncate(
        &mut self,
        topic: &str,
        partition: i32,
        to: i64,
    ) -> Option<i64> {
        let start = self.topics.get_mut(topic)?.truncate(partition, to)?;
        self.bump();
        self.poke_topic(topic);
        Some(start)
    }

    /// `None` while the broker is away or when there is no such partition. `beside`: a reader beside the
    /// app needs no permit.
    pub(in super::super) fn fetch(
        &mut self,
        partition: &TopicPartition,
        position: i64,
        max: usize,
        beside: bool,
    ) -> Option<Fetched> {
        let permits = self.permits.filter(|_| !beside);
        let max = max.min(permits.unwrap_or(usize::MAX));
        if !self.is_available() || max == 0 || self.stalls.holds(partition) {
            return None;
        }
        let log = self.topics.get(&partition.topic)?;
        let mut fetched = log.fetch(partition.partition, position, max)?;
        let end = fetched.high;
        fetched.high += self.stalls.empty(partition);
        if (end..=fetched.high).contains(&position) {
            // Between marks, or behind them.
            fetched.from = position;
            fetched.chunk = None;
        }
        if let (Some(permits), Some(chunk), false) = (&mut self.permits, &fetched.chunk, beside) {
            *permits -= crate::record::ChunkStore::len(chunk);
        }
        if fetched.chunk.is_some() || fetched.from != position {
            self.bump();
        }
        Some(fetched)
    }

    /// Whether a record from `from` to `to` is kept.
    pub(in super::super) fn has_records(
        &self,
        partition: &TopicPartition,
        from: i64,
        to: i64,
    ) -> bool {
        let log = self.topics.get(&partition.topic);
        let marks = log.and_then(|log| log.watermarks(partition.partition));
        marks.is_some_and(|(low, high)| low.max(from) < high.min(to))
    }

    pub(in super::super) fn watermarks(
        &self,
        partition: &TopicPartition,
    ) -> Result<Watermarks, TransportError> {
        self.reachable("watermarks")?;
        self.topics
            .get(&partition.topic)
            .and_then(|log| log.watermarks(partition.partition))
            .map(|(low, high)| Watermarks {
                low,
                high: high + self.stalls.empty(partition),
            })
            .ok_or_else(|| unknown_partition(&partition.topic, partition.partition))
    }
}
