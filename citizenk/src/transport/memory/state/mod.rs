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

use super::assign::MemberId;
use super::errors::all_down;
use super::group::Group;
use super::log::TopicLog;
use super::producer::Producers;
use super::stalls::Stalls;
use crate::record::TopicPartition;
use crate::transport::{TransportError, lock};

mod members;
mod topics;
mod turns;

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
    /// What was asked for, with the threads it was asked on.
    #[cfg(test)]
    pub(super) noted: BTreeMap<String, Vec<std::thread::ThreadId>>,
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
            #[cfg(test)]
            noted: BTreeMap::new(),
        }
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn note(&mut self, what: &str) {
        let noted = self.noted.entry(what.to_owned()).or_default();
        noted.push(std::thread::current().id());
    }

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
}
