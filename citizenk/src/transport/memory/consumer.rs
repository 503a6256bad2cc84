//! One task per consumer: drives a [`ConsumerEvents`] as a polling client does.
//!
//! In: group events, log positions and pokes from the cluster's state. Out: callbacks, one at a time
//! and never under the lock. A round is errors, group events, results of commits, at most one chunk
//! of each partition, one tick; the task sleeps when a round leaves nothing to do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use super::assign::{Assignor, MemberId};
use super::errors::{error, unknown_topic};
use super::group::GroupEvent;
use super::state::{Offsets, Shared};
use crate::record::{ChunkStore, TopicPartition};
use crate::transport::transaction::GroupMetadata;
use crate::transport::{
    ConsumerEvents, ConsumerHandle, ConsumerSpec, Control, Pace, Spot, Start, TransportError,
    Watermarks,
};

/// The shortest sleep between two rounds: a client polls again and again, but paused time must move.
const SHORTEST: Duration = Duration::from_millis(1);
/// How far a knock goes back, as that of a real client.
const BACK: i64 = 10;

pub(super) fn start(
    shared: &Arc<Shared>,
    spec: ConsumerSpec,
    events: Box<dyn ConsumerEvents>,
) -> Result<Arc<dyn ConsumerHandle>, TransportError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|no_runtime| {
        let context = format!("start consumer {}", spec.name);
        error(context, "_STATE", &no_runtime.to_string(), false)
    })?;
    let notify = Arc::new(Notify::new());
    let assignor = Assignor::from_setting(
        spec.settings
            .get("partition.assignment.strategy")
            .map(String::as_str),
    );
    let id = shared.with(|state| {
        state.join(
            spec.group.clone(),
            &spec.client_id,
            spec.topics.iter().cloned(),
            assignor,
            notify.clone(),
        )
    });
    let task = ConsumerTask {
        membership: Membership {
            shared: shared.clone(),
            id,
        },
        notify,
        events,
        view: View::default(),
        max_chunk: spec.max_chunk.max(1),
        drain: spec.drain,
        ends: spec.ends,
        beside: spec.ends && spec.group.is_none(),
        pace: Pace {
            wait: Duration::ZERO,
            take: true,
        },
    };
    runtime.spawn(task.run());
    Ok(Arc::new(MemoryConsumer {
        shared: shared.clone(),
        id,
    }))
}

#[derive(Debug)]
struct MemoryConsumer {
    shared: Arc<Shared>,
    id: MemberId,
}

impl ConsumerHandle for MemoryConsumer {
    fn wake(&self) {
        self.shared.with(|state| state.poke(self.id));
    }

    fn close(&self, _leave: Duration) {
        self.shared.with(|state| state.close(self.id));
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        let mark = self.shared.with(|state| state.mark(self.id))?;
        Some(GroupMetadata(Box::new(mark)))
    }

    fn member_id(&self) -> Option<String> {
        self.shared.with(|state| state.member_id(self.id))
    }

    fn subscribe(&self, topics: &[String]) -> Result<(), TransportError> {
        self.shared.with(|state| state.subscribe(self.id, topics));
        Ok(())
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        spot: Spot,
        _timeout: Duration,
    ) -> Result<Vec<i64>, TransportError> {
        self.shared.with(|state| {
            let offset = |partition: &TopicPartition| {
                let marks = state.watermarks(partition)?;
                Ok(match spot {
                    Spot::Beginning => marks.low,
                    Spot::End => marks.high,
                    Spot::Time(millis) => state
                        .topics
                        .get(&partition.topic)
                        .and_then(|log| log.at_time(partition.partition, millis))
                        .unwrap_or(marks.high),
                })
            };
            partitions.iter().map(offset).collect()
        })
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
        _timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        self.shared
            .with(|state| state.committed(self.id, partitions))
    }
}

/// A place among the cluster's consumers. Dropping it, also because the task was cancelled or a
/// callback panicked, frees the partitions as an expired session does.
struct Membership {
    shared: Arc<Shared>,
    id: MemberId,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.shared.with(|state| state.remove_consumer(self.id));
    }
}

struct ConsumerTask {
    membership: Membership,
    notify: Arc<Notify>,
    events: Box<dyn ConsumerEvents>,
    view: View,
    max_chunk: usize,
    drain: Duration,
    /// Wants to hear of ends.
    ends: bool,
    /// Reads beside the app.
    beside: bool,
    pace: Pace,
}

/// What the client knows without asking: its assignment and the answers it has not passed on.
#[derive(Default)]
struct View {
    partitions: BTreeMap<TopicPartition, Position>,
    ends: Offsets,
    commits: VecDeque<(Offsets, Result<(), TransportError>)>,
}

#[derive(Default)]
struct Position {
    next: i64,
    paused: bool,
    high: Option<i64>,
    /// A record came since the last knock, or there is one a little before `next`, where a knock asks.
    answered: bool,
}

struct MemoryControl<'a> {
    membership: &'a Membership,
    view: &'a mut View,
}

impl ConsumerTask {
    async fn run(mut self) {
        loop {
            let id = self.membership.id;
            let errors = self.membership.shared.with(|state| state.begin_round(id));
            let fatal = errors.iter().any(|error| error.fatal);
            for error in errors {
                self.events.error(error);
            }
            if fatal {
                self.expire();
                break;
            }
            if self.group_events().await {
                break;
            }
            self.report_commits();
            let ends = std::mem::take(&mut self.view.ends);
            if !ends.is_empty() {
                self.events.ends(&ends);
            }
            if self.pace.take {
                self.poll();
            }
            self.pace = self.tick();
            let next = self.pace.wait.max(SHORTEST);
            if self.may_sleep(next) {
                let _ = tokio::time::timeout(next, self.notify.notified()).await;
            } else {
                to_the_back_of_the_queue().await;
            }
        }
        self.report_commits();
        let Self {
            membership,
            mut events,
            ..
        } = self;
        // First out of the cluster's books, so that nothing finds a consumer that hears nothing.
        drop(membership);
        events.closed();
    }

    /// Handles everything the group wants; answers whether the consumer has left.
    async fn group_events(&mut self) -> bool {
        let id = self.membership.id;
        while let Some(event) = self.membership.shared.with(|state| state.next_event(id)) {
            match event {
                GroupEvent::Assign(partitions) => self.assign(&partitions),
                GroupEvent::Revoke(partitions) => self.revoke(&partitions).await,
                GroupEvent::Lost(partitions) => {
                    self.lose(&partitions);
                    let shared = &self.membership.shared;
                    shared.with(|state| state.in_group(id, |group| group.rejoin(id)));
                }
                GroupEvent::Left => return true,
            }
        }
        false
    }

    fn assign(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            let fresh = Position::default();
            self.view.partitions.insert(partition.clone(), fresh);
        }
        let mut control = MemoryControl {
            membership: &self.membership,
            view: &mut self.view,
        };
        let starts = self.events.assigned(&mut control, partitions);
        debug_assert_eq!(starts.len(), partitions.len(), "a start for each partition");
        for (partition, start) in partitions.iter().zip(starts) {
            let (known, committed) = self.membership.shared.with(|state| {
                let asked = std::slice::from_ref(partition);
                // A consumer without a group has nothing committed: it starts at the beginning.
                let committed = state.committed(self.membership.id, asked).ok();
                let log = state.topics.get(&partition.topic);
                (
                    log.and_then(|log| log.watermarks(partition.partition)),
                    committed.and_then(|offsets| offsets.first().copied()?),
                )
            });
            let (low, high) = known.unwrap_or_default();
            if let Some(position) = self.view.partitions.get_mut(partition) {
                position.next = match start {
                    Start::Committed => committed.unwrap_or(low),
                    Start::Beginning => low,
                    Start::End => high,
                    Start::Offset(offset) => offset,
                };
            }
        }
    }

    async fn revoke(&mut self, partitions: &[TopicPartition]) {
        let drain = self.events.revoke_begin(partitions, false);
        let (shared, id) = (&self.membership.shared, self.membership.id);
        shared.with(|state| state.draining(id, true));
        let _ = tokio::time::timeout(self.drain, drain.wait()).await;
        shared.with(|state| state.draining(id, false));
        self.end_revoke(partitions, false);
        self.membership
            .shared
            .with(|state| state.in_group(id, |group| group.revoked(id)));
    }

    fn lose(&mut self, partitions: &[TopicPartition]) {
        if partitions.is_empty() {
            return;
        }
        // Nobody waits: the partitions are another member's already.
        drop(self.events.revoke_begin(partitions, true));
        self.end_revoke(partitions, true);
    }

    fn end_revoke(&mut self, partitions: &[TopicPartition], lost: bool) {
        let mut control = MemoryControl {
            membership: &self.membership,
            view: &mut self.view,
        };
        self.events.revoke_end(&mut control, partitions, lost);
        for partition in partitions {
            self.view.partitions.remove(partition);
        }
    }

    /// The client instance is unusable: what it has is lost.
    fn expire(&mut self) {
        let partitions: Vec<_> = self.view.partitions.keys().cloned().collect();
        self.lose(&partitions);
    }

    fn report_commits(&mut self) {
        while let Some((offsets, result)) = self.view.commits.pop_front() {
            self.events.committed(&offsets, result);
        }
    }

    fn poll(&mut self) {
        let round: Vec<_> = self.view.partitions.keys().cloned().collect();
        for partition in round {
            // Looked up anew: a callback of this round may have paused or moved it.
            let Some(position) = self.view.partitions.get_mut(&partition) else {
                continue;
            };
            if position.paused {
                continue;
            }
            let asked = position.next;
            let (fetched, echo) = self.membership.shared.with(|state| {
                let fetched = state.fetch(&partition, asked, self.max_chunk, self.beside);
                (fetched, state.has_records(&partition, asked - BACK, asked))
            });
            let Some(fetched) = fetched else {
                continue;
            };
            let count = fetched.chunk.as_ref().map_or(0, ChunkStore::len) as i64;
            position.high = Some(fetched.high);
            position.answered |= echo || fetched.chunk.is_some() || asked != fetched.from;
            position.next = fetched.from + count;
            if asked < fetched.from {
                self.events.skipped(&partition, asked, fetched.from);
            } else if asked > fetched.from {
                self.events.created_anew(&partition, asked, fetched.from);
            }
            if let Some(chunk) = fetched.chunk {
                let mut control = MemoryControl {
                    membership: &self.membership,
                    view: &mut self.view,
                };
                self.events.records(&mut control, Arc::new(chunk));
            } else if self.ends {
                self.events.reached_end(&partition, fetched.high);
            }
        }
    }

    fn tick(&mut self) -> Pace {
        let mut control = MemoryControl {
            membership: &self.membership,
            view: &mut self.view,
        };
        self.events.tick(&mut control)
    }

    fn may_sleep(&self, next: Duration) -> bool {
        let positions = self.view.partitions.iter();
        let unpaused = positions
            .filter(|(_, position)| self.pace.take && !position.paused)
            .map(|(partition, position)| (partition.clone(), position.next));
        self.view.commits.is_empty()
            && self
                .membership
                .shared
                .with(|state| state.rest(self.membership.id, unpaused, next, self.beside))
    }
}

/// Lets the tasks that were woken before this one run first. `yield_now` would run yielding tasks in
/// reverse order.
async fn to_the_back_of_the_queue() {
    let mut again = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut again, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl MemoryControl<'_> {
    /// What an ordered stall may wait for.
    fn sought<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>, anew: bool) {
        self.membership.shared.with(|state| {
            for partition in partitions {
                state.stalls.sought(partition, anew);
            }
        });
    }
}

impl Control for MemoryControl<'_> {
    fn pause(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(position) = self.view.partitions.get_mut(partition) {
                position.paused = true;
            }
        }
    }

    fn resume(&mut self, positions: &[(TopicPartition, i64)]) {
        for (partition, next) in positions {
            if let Some(position) = self.view.partitions.get_mut(partition) {
                position.paused = false;
                position.next = *next;
            }
        }
        self.sought(positions.iter().map(|(partition, _)| partition), false);
    }

    fn knock(&mut self, partition: &TopicPartition, next: i64, anew: bool) {
        if let Some(position) = self.view.partitions.get_mut(partition) {
            position.next = next;
            position.answered = false;
        }
        self.sought(std::iter::once(partition), anew);
    }

    fn answered(&mut self, partition: &TopicPartition) -> bool {
        let position = self.view.partitions.get(partition);
        position.is_some_and(|position| position.answered)
    }

    fn ask_ends(&mut self, partitions: &[TopicPartition]) {
        let ends = self.membership.shared.with(|state| {
            let end = |partition: &TopicPartition| {
                let marks = state.watermarks(partition).ok()?;
                Some((partition.clone(), marks.high))
            };
            partitions.iter().filter_map(end).collect()
        });
        // The answer comes with a later poll, as from a real client.
        self.view.ends = ends;
    }

    fn seek(&mut self, positions: &[(TopicPartition, i64)]) {
        for (partition, next) in positions {
            if let Some(position) = self.view.partitions.get_mut(partition) {
                position.next = *next;
            }
        }
        self.sought(positions.iter().map(|(partition, _)| partition), false);
    }

    fn commit(&mut self, offsets: &[(TopicPartition, i64)]) {
        let result = self.commit_now(offsets, Duration::ZERO);
        // The answer comes with a later poll, as from a real client.
        self.view.commits.push_back((offsets.to_vec(), result));
    }

    fn commit_now(
        &mut self,
        offsets: &[(TopicPartition, i64)],
        _timeout: Duration,
    ) -> Result<(), TransportError> {
        let id = self.membership.id;
        self.membership
            .shared
            .with(|state| state.commit(id, offsets))
    }

    fn committed(
        &mut self,
        partitions: &[TopicPartition],
        _timeout: Duration,
    ) -> Result<Vec<Option<i64>>, TransportError> {
        let id = self.membership.id;
        self.membership
            .shared
            .with(|state| state.committed(id, partitions))
    }

    fn watermarks(
        &mut self,
        partition: &TopicPartition,
        _timeout: Duration,
    ) -> Result<Watermarks, TransportError> {
        self.membership
            .shared
            .with(|state| state.watermarks(partition))
    }

    fn cached_high_watermark(&mut self, partition: &TopicPartition) -> Option<i64> {
        self.view.partitions.get(partition)?.high
    }

    fn partition_count(
        &mut self,
        topic: &str,
        _timeout: Duration,
    ) -> Result<usize, TransportError> {
        self.membership.shared.with(|state| {
            let log = state.topics.get(topic);
            log.map(|log| log.partitions())
                .ok_or_else(|| unknown_topic(topic))
        })
    }
}
