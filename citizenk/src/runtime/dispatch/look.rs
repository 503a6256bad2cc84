//! What the dispatcher looks at once a second: lag, queues, stalls, and who has caught up.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Dispatcher, LOOK_EVERY, Lane, Partition};
use crate::record::{Chunk, TopicPartition};
use crate::runtime::limits::too_many_unsettled;
use crate::runtime::stall::{Cause, Change, Observation, Remedy, Stall};
use crate::runtime::status::{PartitionStatus, StallStatus};
use crate::transport::Control;

/// When the records of the chunks that are not settled were written: the next offset behind each chunk,
/// and its first record's time in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Ages {
    chunks: VecDeque<(i64, i64)>,
    /// Of the last chunk.
    last: Option<i64>,
}

impl Ages {
    pub(super) fn push(&mut self, chunk: &Chunk, next: i64) {
        if let Some(time) = chunk.timestamp(0).millis() {
            self.chunks.push_back((next, time));
            self.last = Some(time);
        }
    }

    /// When the oldest record that is not settled was written; records that are not fetched yet are no
    /// older than the last that was.
    fn oldest(&mut self, position: Option<i64>, lag: i64) -> Option<i64> {
        while let Some((next, _)) = self.chunks.front()
            && position.is_some_and(|position| position >= *next)
        {
            self.chunks.pop_front();
        }
        if lag == 0 {
            return None;
        }
        self.chunks.front().map(|(_, time)| *time).or(self.last)
    }
}

/// So many partitions are looked at every [`LOOK_EVERY`]; more of them less often.
const PARTITIONS_A_LOOK: usize = 250;
const MOST_TIMES: u32 = 5;

impl Partition {
    /// The lane that is behind all others.
    fn slowest(&self) -> Option<&Lane> {
        self.lanes.iter().min_by_key(|lane| lane.ack.position())
    }

    /// The next offset the partition will give a record, as far as it is known.
    pub(super) fn end(&self, id: &TopicPartition, control: &mut dyn Control) -> Option<i64> {
        let end = control.cached_high_watermark(id).max(self.known_end);
        if self.read_to >= end { self.next } else { end }
    }

    pub(super) fn queued_bytes(&self) -> usize {
        let bytes = self.lanes.iter().map(|lane| lane.inbox.queued_bytes());
        bytes.max().unwrap_or(0)
    }

    /// A lane has taken so many records that are not settled that it gets no more for now.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.lanes.iter().any(|lane| {
            let (Some(next), Some(position)) = (lane.handed, lane.position()) else {
                return false;
            };
            let queued = i64::try_from(lane.inbox.queued()).unwrap_or(i64::MAX);
            too_many_unsettled(next - position - queued, lane.batch_size)
        })
    }

    fn observe(&self, id: &TopicPartition, control: &mut dyn Control) -> Observation {
        let slowest = self.slowest();
        let signs = slowest.map(|lane| &lane.inbox.signs);
        let (shipped, answered) = signs.map_or((0, 0), |signs| signs.shipments());
        Observation {
            position: self.position(),
            next: self.next,
            end: self.end(id, control),
            paused: self.paused,
            resting: slowest
                .is_none_or(|lane| lane.inbox.is_resting() || lane.inbox.signs.is_resting()),
            retries: signs.map_or(0, |signs| signs.retries()),
            refusals: signs.map_or(0, |signs| signs.refusals()),
            shipped,
            answered,
        }
    }
}

/// Until the next look: librdkafka walks through all its topics to find a partition's end, so a look costs the
/// square of what it looks at, 8 ms for 1,000 topics.
fn pause_for(partitions: usize) -> Duration {
    let times = u32::try_from(1 + partitions / PARTITIONS_A_LOOK).unwrap_or(u32::MAX);
    LOOK_EVERY * times.min(MOST_TIMES)
}

impl Dispatcher {
    /// Lag, stalls, and who has caught up.
    pub(super) fn look(&mut self, control: &mut dyn Control, now: Instant) {
        self.hear_probes(control);
        if self.waiting_for_ends {
            self.open_gates();
            self.probe_for_gates(now);
        }
        if now < self.look_due {
            return;
        }
        self.look_due = now + pause_for(self.partitions.len());
        let clock = self.cx.env.clock.millis();
        let mut list = Vec::with_capacity(self.partitions.len());
        let (mut unsure, mut told, mut helpless) = (Vec::new(), Vec::new(), Vec::new());
        for (id, state) in &mut self.partitions {
            if state.stalls.is_healing() && control.answered(id) {
                let end = state.end(id, control);
                state.stalls.alive(end);
            }
            if let Some(book) = &self.cx.book {
                state.committed = book.committed(id);
            }
            let seen = state.observe(id, control);
            let verdict = state.stalls.look(now, &seen);
            if verdict.ask_end {
                unsure.push(id.clone());
            }
            if let Some(change) = verdict.change {
                told.push((id.clone(), change, state.slowest().map(|lane| lane.agent)));
            }
            if let (Some(remedy), Some(next), Some(end)) = (verdict.remedy, state.next, seen.end)
                && !heal(control, id, next, remedy)
            {
                helpless.push((id.clone(), next, end));
            }
            let stall = state.stalls.stall().map(|stall| StallStatus {
                waiting: now.saturating_duration_since(stall.since),
                cause: stall.cause,
                agent: match stall.cause {
                    Cause::Client | Cause::Poll => None,
                    _ => state.slowest().map(|lane| lane.agent),
                }
                .and_then(|agent| Some(self.agents.get(&agent)?.plan.spec.name.clone())),
                paused: state.paused,
            });
            let status = PartitionStatus {
                partition: id.clone(),
                position: seen.position,
                committed: state.committed,
                high: seen.end,
                queued: state.queued(),
                paused: state.paused,
                stall,
            };
            if let Some(lag) = status.lag() {
                state.metrics.lag(lag);
                let oldest = state.ages.oldest(seen.position, lag);
                state.metrics.age(oldest.map_or(0, |time| clock - time));
            }
            state.metrics.paused(state.paused);
            state.metrics.stalled(status.stall.is_some());
            state.metrics.queued(status.queued, state.queued_bytes());
            list.push(status);
        }
        if !unsure.is_empty() {
            control.ask_ends(&unsure);
        }
        for (id, next, end) in helpless {
            self.probe(&id, next, end);
        }
        for (id, change, lane) in told {
            self.tell(&id, change, lane, now);
        }
        list.sort_by(|a, b| a.partition.cmp(&b.partition));
        self.cx.status.partitions(list);
    }

    /// One line when a stall begins and one when it ends.
    fn tell(&self, partition: &TopicPartition, change: Change, agent: Option<usize>, now: Instant) {
        let agent = agent.and_then(|agent| self.agents.get(&agent));
        let agent = agent.map(|agent| &*agent.plan.spec.name);
        let group = self.cx.group.as_deref();
        let since = |stall: Stall| Seconds(now.saturating_duration_since(stall.since));
        match change {
            Change::Began(stall) => {
                self.metrics.stalled(stall.cause.name());
                tracing::error!(group, %partition, agent, waiting = %since(stall), cause = stall.cause.name(), "no progress: {}", stall.cause);
            }
            Change::Ended(stall) => {
                tracing::info!(group, %partition, stood = %since(stall), cause = stall.cause.name(), "progress again");
            }
        }
    }
}

/// For people: whole seconds.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} s", self.0.as_secs())
    }
}

/// Tries a remedy; `false`: there is none left.
fn heal(control: &mut dyn Control, partition: &TopicPartition, next: i64, remedy: Remedy) -> bool {
    match remedy {
        Remedy::Seek => {
            tracing::warn!(%partition, next, "the client delivers nothing; seeking to the next offset");
            control.knock(partition, next, false);
        }
        Remedy::Restart => {
            tracing::warn!(%partition, next, "the seek did not help; fetching the partition anew");
            control.knock(partition, next, true);
        }
        // What lies there may be no records at all.
        Remedy::Probe => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_partitions_are_looked_at_less_often() {
        let seconds = |partitions| pause_for(partitions).as_secs();
        assert_eq!([0, 249, 250, 1_000].map(seconds), [1, 1, 2, 5]);
        assert_eq!(seconds(usize::MAX), 5);
    }
}
