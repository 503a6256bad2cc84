//! Everything the in-memory cluster knows, behind one lock.
//!
//! Pure except for the clock and for waking tasks. Callbacks are never called from here: tasks take
//! what is theirs under the lock and call out after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::assign::{Assignor, MemberId};
use super::errors::{all_down, error, no_group, unknown_partition};
use super::group::{Group, GroupEvent};
use super::log::{Fetched, NewRecord, TopicLog};
use super::producer::{Producers, Report, Waiting};
use super::stalls::Stalls;
use crate::record::TopicPartition;
use crate::transport::{Delivered, TransportError, Watermarks, lock};

pub(super) type Offsets = Vec<(TopicPartition, i64)>;

/// A named group, or the single reader of a consumer without one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupKey {
    Named(String),
    Solo(MemberId),
}

/// The lock and what waits for the cluster to become idle.
#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) quiet: Notify,
}

impl Shared {
    /// Runs `change` under the lock; whoever waits for idleness hears when it has come.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        if state.idle() {
            self.quiet.notify_waiters();
        }
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared(..)")
    }
}

/// What the cluster knows about a running consumer.
#[derive(Debug)]
pub(super) struct ConsumerSlot {
    pub(super) client_id: String,
    pub(super) group: GroupKey,
    topics: BTreeSet<Arc<str>>,
    notify: Arc<Notify>,
    /// Something concerns it that it has not looked at.
    poked: bool,
    idle: bool,
    /// Waits for started calls of partitions that it gives back.
    draining: bool,
    /// When it will look by itself; `None`: never.
    due: Option<Instant>,
    closing: bool,
    errors: VecDeque<TransportError>,
}

pub(super) struct State {
    pub(super) topics: BTreeMap<Arc<str>, TopicLog>,
    /// What topics were given of their own, by topic and config.
    pub(super) configs: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) groups: BTreeMap<GroupKey, Group>,
    pub(super) consumers: BTreeMap<MemberId, ConsumerSlot>,
    pub(super) producers: Producers,
    pub(super) default_partitions: usize,
    /// How many records may still be handed to consumers; `None`: all.
    permits: Option<usize>,
    /// Since when the broker is away.
    outage: Option<Instant>,
    failures: BTreeMap<String, VecDeque<TransportError>>,
    commit_failures: VecDeque<TransportError>,
    pub(super) stalls: Stalls,
    sequence: u64,
    activity: u64,
    next_id: u64,
    clock: (Instant, i64),
}

impl Default for State {
    fn default() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            topics: BTreeMap::new(),
            configs: BTreeMap::new(),
            groups: BTreeMap::new(),
            consumers: BTreeMap::new(),
            producers: Producers::default(),
            default_partitions: 4,
            permits: None,
            outage: None,
            failures: BTreeMap::new(),
            commit_failures: VecDeque::new(),
            stalls: Stalls::default(),
            sequence: 0,
            activity: 0,
            next_id: 0,
            clock: (
                Instant::now(),
                wall.map_or(0, |since| since.as_millis() as i64),
            ),
        }
    }
}

impl State {
    pub(super) fn bump(&mut self) {
        self.activity += 1;
    }

    pub(super) fn activity(&self) -> u64 {
        self.activity
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn set_now(&mut self, millis: i64) {
        self.clock = (Instant::now(), millis);
    }

    /// Milliseconds since the epoch on the cluster's clock, which runs with tokio's: paused time
    /// gives the same timestamps every time.
    pub(super) fn now(&self) -> i64 {
        self.clock.1 + self.clock.0.elapsed().as_millis() as i64
    }

    /// Nothing is left that the cluster's tasks would do now by themselves.
    pub(super) fn idle(&self) -> bool {
        self.all_at_rest(ConsumerSlot::is_idle)
    }

    /// As [`State::idle`], but a consumer may wait for calls that end only when time passes.
    pub(super) fn idle_or_draining(&self) -> bool {
        self.all_at_rest(|slot, late| slot.draining || slot.is_idle(late))
    }

    fn all_at_rest(&self, rests: impl Fn(&ConsumerSlot, Instant) -> bool) -> bool {
        // tokio's timers go off on whole milliseconds: within one of its time, a due tick may be unable to
        // come while time stands still.
        let late = Instant::now() - Duration::from_millis(1);
        self.consumers.values().all(|slot| rests(slot, late)) && self.producers.idle()
    }

    /// Hands at most this many records to consumers from here on; `None`: all.
    pub(super) fn permit(&mut self, records: Option<usize>) {
        self.permits = records;
        self.poke_all();
        self.bump();
    }

    pub(super) fn permits(&self) -> Option<usize> {
        self.permits
    }

    /// Whether a record that is there may be handed over.
    pub(super) fn is_permitted(&self) -> bool {
        self.is_available() && self.permits != Some(0)
    }

    pub(super) fn is_available(&self) -> bool {
        self.outage.is_none()
    }

    pub(super) fn last_contact(&self) -> Duration {
        self.outage.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn set_available(&mut self, available: bool) {
        if available == self.is_available() {
            return;
        }
        self.bump();
        if available {
            self.outage = None;
            for waiting in self.producers.take_waiting() {
                self.append_waiting(waiting);
            }
        } else {
            self.outage = Some(Instant::now());
            for slot in self.consumers.values_mut() {
                slot.errors.push_back(all_down());
            }
        }
        self.poke_all();
    }

    // Topics and logs.

    /// Creates the topic or gives it more partitions; answers whether anything changed.
    pub(super) fn ensure_topic(&mut self, name: &str, partitions: Option<usize>) -> bool {
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
    pub(super) fn append(
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

    pub(super) fn fail_next(&mut self, topic: &str, count: usize, error: &TransportError) {
        let queue = self.failures.entry(topic.to_owned()).or_default();
        queue.extend(std::iter::repeat_n(error.clone(), count));
    }

    pub(super) fn ordered_failure(&mut self, topic: &str) -> Option<TransportError> {
        self.failures.get_mut(topic)?.pop_front()
    }

    pub(super) fn append_waiting(&mut self, waiting: Waiting) {
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

    pub(super) fn truncate(&mut self, topic: &str, partition: i32, to: i64) -> Option<i64> {
        let start = self.topics.get_mut(topic)?.truncate(partition, to)?;
        self.bump();
        self.poke_topic(topic);
        Some(start)
    }

    /// `None` while the broker is away or when there is no such partition. `beside`: a reader beside the
    /// app needs no permit.
    pub(super) fn fetch(
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

    pub(super) fn watermarks(
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

    // Groups.

    pub(super) fn join(
        &mut self,
        group: Option<String>,
        client_id: &str,
        topics: impl IntoIterator<Item = String>,
        assignor: Assignor,
        notify: Arc<Notify>,
    ) -> MemberId {
        let id = self.fresh_id();
        let key = group.map_or(GroupKey::Solo(id), GroupKey::Named);
        let topics: BTreeSet<Arc<str>> = topics.into_iter().map(Arc::from).collect();
        let sizes = &self.topics;
        self.groups
            .entry(key.clone())
            .or_insert_with(|| {
                let sizes = sizes.values();
                let sizes = sizes.map(|log| (log.name().clone(), log.partitions()));
                Group::new(assignor, sizes.collect())
            })
            .join(id, client_id, topics.clone());
        let errors = (!self.is_available()).then(all_down).into_iter().collect();
        self.consumers.insert(
            id,
            ConsumerSlot {
                client_id: client_id.to_owned(),
                group: key.clone(),
                topics,
                notify,
                poked: true,
                idle: false,
                draining: false,
                due: None,
                closing: false,
                errors,
            },
        );
        self.bump();
        self.poke_group(&key);
        id
    }

    /// The consumer reads these topics from now on.
    pub(super) fn subscribe(&mut self, id: MemberId, topics: &[String]) {
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|name| name.as_str().into()).collect();
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.topics.clone_from(&topics);
        }
        self.in_group(id, |group| group.subscribe(id, topics));
    }

    /// Changes the group of the consumer and wakes its members.
    pub(super) fn in_group<R>(
        &mut self,
        id: MemberId,
        change: impl FnOnce(&mut Group) -> R,
    ) -> Option<R> {
        let key = self.consumers.get(&id)?.group.clone();
        let result = change(self.groups.get_mut(&key)?);
        self.bump();
        self.poke_group(&key);
        Some(result)
    }

    /// What the member has to do; a broker that is away starts nothing, but lets members leave.
    pub(super) fn next_event(&mut self, id: MemberId) -> Option<GroupEvent> {
        let key = self.consumers.get(&id)?.group.clone();
        let available = self.is_available();
        let group = self.groups.get_mut(&key)?;
        if !available && !group.is_leaving(id) {
            return None;
        }
        let event = group.next_event(id)?;
        self.bump();
        if event == GroupEvent::Left {
            self.poke_group(&key);
        }
        Some(event)
    }

    /// The consumer's task ended, in order or not.
    pub(super) fn remove_consumer(&mut self, id: MemberId) {
        let Some(slot) = self.consumers.remove(&id) else {
            return;
        };
        self.bump();
        match slot.group {
            GroupKey::Solo(_) => {
                self.groups.remove(&slot.group);
            }
            GroupKey::Named(_) => {
                if let Some(group) = self.groups.get_mut(&slot.group)
                    && group.members().any(|(member, _)| member == id)
                {
                    group.remove(id);
                    self.poke_group(&slot.group);
                }
            }
        }
    }

    pub(super) fn fail_commits(&mut self, count: usize, error: &TransportError) {
        self.commit_failures
            .extend(std::iter::repeat_n(error.clone(), count));
    }

    pub(super) fn commit(
        &mut self,
        id: MemberId,
        offsets: &[(TopicPartition, i64)],
    ) -> Result<(), TransportError> {
        let group = self.named_group(id, "commit")?;
        self.bump();
        if let Some(error) = self.commit_failures.pop_front() {
            return Err(error);
        }
        let group = self
            .groups
            .get_mut(&group)
            .ok_or_else(|| no_group("commit"))?;
        group.commit(id, offsets).map_err(|fenced| {
            error(
                format!("commit {}", fenced.0),
                "ILLEGAL_GENERATION",
                "Broker: Specified group generation id is not valid",
                false,
            )
        })
    }

    pub(super) fn committed(
        &self,
        id: MemberId,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<i64>>, TransportError> {
        let group = self.named_group(id, "committed offsets")?;
        let group = self
            .groups
            .get(&group)
            .ok_or_else(|| no_group("committed offsets"))?;
        Ok(partitions.iter().map(|p| group.committed(p)).collect())
    }

    pub(super) fn named_group(
        &self,
        id: MemberId,
        context: &str,
    ) -> Result<GroupKey, TransportError> {
        self.reachable(context)?;
        match self.consumers.get(&id).map(|slot| &slot.group) {
            Some(key @ GroupKey::Named(_)) => Ok(key.clone()),
            _ => Err(no_group(context)),
        }
    }

    pub(super) fn reachable(&self, context: &str) -> Result<(), TransportError> {
        if self.is_available() {
            return Ok(());
        }
        Err(error(
            context,
            "_TRANSPORT",
            "Local: Broker transport failure",
            true,
        ))
    }

    // What consumer tasks tell and ask.

    /// A consumer starts a round: what happens from here on counts for the next one.
    /// While a consumer waits for its drain, it has nothing to do itself: time may pass.
    pub(super) fn draining(&mut self, id: MemberId, waits: bool) {
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.draining = waits;
        }
    }

    pub(super) fn begin_round(&mut self, id: MemberId) -> Vec<TransportError> {
        let Some(slot) = self.consumers.get_mut(&id) else {
            return Vec::new();
        };
        slot.poked = false;
        slot.idle = false;
        let errors: Vec<_> = slot.errors.drain(..).collect();
        if slot.closing && self.in_group(id, |group| group.is_leaving(id)) == Some(false) {
            self.in_group(id, |group| group.leave(id));
        }
        errors
    }

    /// A consumer has done what it could; answers whether it may sleep.
    pub(super) fn rest(
        &mut self,
        id: MemberId,
        mut positions: impl Iterator<Item = (TopicPartition, i64)>,
        sleep: Duration,
        beside: bool,
    ) -> bool {
        let permitted = self.is_permitted() || (beside && self.is_available());
        let work = permitted
            && positions.any(|(partition, next)| {
                if self.stalls.holds(&partition) {
                    return false;
                }
                let log = self.topics.get(&partition.topic);
                let high = log.and_then(|log| log.watermarks(partition.partition));
                let empty = self.stalls.empty(&partition);
                high.is_some_and(|(_, high)| !(high..=high + empty).contains(&next))
            });
        let Some(slot) = self.consumers.get_mut(&id) else {
            return false;
        };
        slot.idle = !work && !slot.poked;
        slot.due = Instant::now().checked_add(sleep);
        slot.idle
    }

    pub(super) fn close(&mut self, id: MemberId) {
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.closing = true;
            self.poke(id);
        }
    }

    pub(super) fn consumer_error(&mut self, client_id: &str, error: &TransportError) -> bool {
        let slots = self.consumers.iter_mut();
        let ids: Vec<_> = slots
            .filter(|(_, slot)| slot.client_id == client_id)
            .map(|(id, slot)| {
                slot.errors.push_back(error.clone());
                *id
            })
            .collect();
        for id in &ids {
            self.poke(*id);
        }
        !ids.is_empty()
    }

    pub(super) fn poke(&mut self, id: MemberId) {
        if let Some(slot) = self.consumers.get_mut(&id) {
            slot.poke();
            self.bump();
        }
    }

    pub(super) fn poke_group(&mut self, key: &GroupKey) {
        let slots = self.consumers.values_mut();
        slots
            .filter(|slot| slot.group == *key)
            .for_each(ConsumerSlot::poke);
    }

    fn poke_topic(&mut self, topic: &str) {
        let slots = self.consumers.values_mut();
        slots
            .filter(|slot| slot.topics.contains(topic))
            .for_each(ConsumerSlot::poke);
    }

    pub(super) fn poke_all(&mut self) {
        self.consumers.values_mut().for_each(ConsumerSlot::poke);
    }
}

impl ConsumerSlot {
    fn is_idle(&self, late: Instant) -> bool {
        self.idle && self.due.is_none_or(|due| due > late)
    }

    fn poke(&mut self) {
        self.poked = true;
        self.idle = false;
        self.notify.notify_one();
    }
}
