//! Files as sources: each record is sent when its time has come.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use citizenk::prelude::*;
use replicator_domain::replay::{Player, Speed, Step, known};
use replicator_domain::transform::Buffers;
use replicator_domain::{Outcome, Partitioning, Record};
use tokio::sync::Notify;

use crate::bytes::KeyBytes;

use super::folder;
use super::run::{Phase, RAW, Run, Tally, leave_out, lock, size};

/// Sent and not acknowledged at once.
const IN_FLIGHT: usize = 1000;
/// Before a target that has refused something is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The records of a file, still as text.
#[derive(Debug)]
pub(crate) struct FileText {
    text: String,
    /// Start and end of each record.
    records: Vec<(usize, usize)>,
    /// The first timestamp.
    pub(crate) first: Option<i64>,
    /// The last one.
    last: Option<i64>,
}

impl FileText {
    /// Reads a file; a mistake in one record is met when its turn comes.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = folder::to_read(path)
            .and_then(std::fs::read_to_string)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let mut records = Vec::new();
        if text.trim_start().starts_with('[') {
            let relaxed = replicator_domain::json::relax(&text).text.into_owned();
            let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(&relaxed)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let base = relaxed.as_ptr().addr();
            let place = |raw: &&serde_json::value::RawValue| {
                let start = raw.get().as_ptr().addr() - base;
                (start, start + raw.get().len())
            };
            records = items.iter().map(place).collect();
            return Ok(Self::of(relaxed, records));
        }
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if !line.trim().is_empty() {
                records.push((at, at + line.len()));
            }
            at += line.len();
        }
        Ok(Self::of(text, records))
    }

    fn of(text: String, records: Vec<(usize, usize)>) -> Self {
        let mut file = Self {
            text,
            records,
            first: None,
            last: None,
        };
        let stamp = |index| file.stamp(index);
        let first = (0..file.len()).find_map(stamp);
        let last = (0..file.len()).rev().find_map(stamp);
        (file.first, file.last) = (first, last);
        file
    }

    fn stamp(&self, index: usize) -> Option<i64> {
        known(self.get(index).ok()?.timestamp)
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    fn get(&self, index: usize) -> Result<replicator_domain::lines::FileRecord, String> {
        let (start, end) = self.records[index];
        let read = replicator_domain::lines::parse(self.text[start..end].trim());
        read.map_err(|reason| format!("record {}: {reason}", index + 1))
    }
}

/// A replay that can be told what to do.
#[derive(Debug)]
pub(crate) struct Replay {
    file: FileText,
    state: Mutex<State>,
    changed: Notify,
    origin: tokio::time::Instant,
}

#[derive(Debug)]
struct State {
    player: Player,
    /// The wall clock's lead over this replay's own.
    lead: i64,
}

/// Two clocks that are read one after the other differ a little; more is a wall clock that was set.
const CLOCK_WAS_SET: i64 = 1000;

/// How far a replay is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) next: usize,
    pub(crate) records: usize,
    pub(crate) position: i64,
    pub(crate) speed: f64,
    pub(crate) paused: bool,
    pub(crate) drift: i64,
    /// The first and the last timestamp of the file.
    pub(crate) span: (Option<i64>, Option<i64>),
}

impl Replay {
    pub(crate) fn new(
        file: FileText,
        first: i64,
        speed: Speed,
        (origin, wall): (tokio::time::Instant, i64),
    ) -> Self {
        let span = (file.first, file.last);
        let state = State {
            player: Player::start(file.len(), span, first, 0, speed),
            lead: wall,
        };
        Self {
            file,
            state: Mutex::new(state),
            changed: Notify::new(),
            origin,
        }
    }

    fn now(&self) -> i64 {
        i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// When a record is due on the wall clock: gaps stay exact, between files too.
    fn shifted(&self, due: i64, wall: i64) -> i64 {
        let mut state = lock(&self.state);
        let lead = wall - self.now();
        if (lead - state.lead).abs() >= CLOCK_WAS_SET {
            state.lead = lead;
        }
        due + state.lead
    }

    pub(crate) fn progress(&self) -> Progress {
        let player = lock(&self.state).player.clone();
        Progress {
            next: player.done(),
            records: self.file.len(),
            position: player.position(self.now()),
            speed: player.speed().factor(),
            paused: player.is_paused(),
            drift: player.drift(),
            span: (self.file.first, self.file.last),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Player, i64)) {
        change(&mut lock(&self.state).player, self.now());
        self.changed.notify_waiters();
        self.changed.notify_one();
    }

    /// Stops time, or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.change(|player, now| match paused {
            true => player.pause(now),
            false => player.resume(now),
        });
    }

    pub(crate) fn set_speed(&self, speed: Speed) {
        self.change(|player, now| player.set_speed(speed, now));
    }

    /// Goes on with the first record at or after this time, also from the end.
    pub(crate) fn seek(&self, recorded: i64) {
        self.change(|player, now| player.seek(recorded, now, |index| self.file.stamp(index)));
    }

    /// What it does where nothing fails.
    pub(crate) fn phase(&self) -> Phase {
        let state = lock(&self.state);
        match (state.player.is_over(), state.player.is_paused()) {
            (true, _) => Phase::Completed,
            (false, true) => Phase::Paused,
            (false, false) => Phase::Running,
        }
    }

    /// The next record and when it was due, once that time has come.
    async fn next(
        &self,
    ) -> Option<(
        Result<replicator_domain::lines::FileRecord, String>,
        i64,
        usize,
    )> {
        loop {
            let changed = self.changed.notified();
            let now = self.now();
            let step = lock(&self.state)
                .player
                .step(now, |index| self.file.stamp(index));
            match step {
                Step::Send { index, due } => return Some((self.file.get(index), due, index)),
                Step::End => return None,
                Step::Paused => changed.await,
                Step::Wait(due) => {
                    let wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                    }
                }
            }
        }
    }

    /// Waits at the end until somebody leads back.
    async fn until_led_back(&self) {
        loop {
            let changed = self.changed.notified();
            if !lock(&self.state).player.is_over() {
                return;
            }
            changed.await;
        }
    }

    /// Replays the file, and what of it is asked for again, until the run is stopped or the service is.
    pub(crate) async fn run(self: Arc<Self>, run: Arc<Run>, producer: Producer, clock: Clock) {
        loop {
            // Also one without records is there.
            run.enter(match self.file.len() {
                0 => Phase::Running,
                _ => self.phase(),
            });
            self.pass(&run, &producer, &clock).await;
            let rules = run.rules();
            if rules.mapping.replay.again && self.file.len() > 0 {
                let first = rules.mapping.replay.from.or(self.file.first).unwrap_or(0);
                self.change(|player, now| player.again(first, now));
                tokio::task::yield_now().await;
                continue;
            }
            run.enter(self.phase());
            self.until_led_back().await;
        }
    }

    async fn pass(&self, run: &Run, producer: &Producer, clock: &Clock) {
        let rules = run.rules();
        let target = RAW.named(&format!("target/{}", run.pair.target));
        let mut buffers = Buffers::default();
        let mut waiting = VecDeque::new();
        let mut unreadable = false;
        loop {
            // What is on its way is heard of while the next record is not due.
            let next = tokio::select! {
                biased;
                next = self.next() => next,
                arrived = oldest(&mut waiting), if !waiting.is_empty() => {
                    self.settle(&mut waiting, arrived, run, producer, &target).await;
                    continue;
                }
            };
            let Some((read, due, index)) = next else {
                break;
            };
            let mut tally = Tally {
                source: 1,
                ..Tally::default()
            };
            let wall = clock.now().timestamp_millis();
            run.counters
                .last_at
                .store(wall, std::sync::atomic::Ordering::Relaxed);
            let record = match read {
                Ok(record) => record,
                Err(reason) => {
                    // One of a row that follow each other is news; all are counted.
                    if !std::mem::replace(&mut unreadable, true) {
                        tracing::warn!(
                            file = run.pair.source,
                            reason,
                            "a record cannot be read and is left out"
                        );
                    }
                    tally.undecodable = 1;
                    run.count(&tally);
                    continue;
                }
            };
            unreadable = false;
            let timestamp = known(record.timestamp);
            let within = |at: i64| {
                rules.mapping.replay.from.is_none_or(|from| at >= from)
                    && rules.mapping.replay.to.is_none_or(|to| at < to)
            };
            if !timestamp.is_none_or(within) {
                tally.filtered = 1;
                run.count(&tally);
                continue;
            }
            let shifted = self.shifted(due, wall);
            let view = Record {
                topic: &run.pair.source,
                partition: record.partition.unwrap_or(0),
                offset: record.offset.unwrap_or(index as i64),
                timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: &record.headers,
            };
            tally.bytes_in = size(view.key, view.value);
            match rules.transform.apply(&view, &mut buffers) {
                Outcome::Copy {
                    key,
                    value,
                    partition,
                    unmapped,
                } => {
                    tally.unmapped = unmapped as u64;
                    tally.sent = 1;
                    let copy = Copied {
                        key: key.or(view.key).map(<[u8]>::to_vec),
                        value: value.or(view.value).map(<[u8]>::to_vec),
                        headers: record.headers.clone(),
                        partition: match partition {
                            Partitioning::To(partition) => Some(partition),
                            Partitioning::Kept if record.key.is_none() => {
                                record.partition.filter(|at| *at < rules.target_count)
                            }
                            _ => None,
                        },
                        timestamp: shifted,
                        original: timestamp.filter(|_| rules.mapping.replay.original_timestamp),
                    };
                    tally.bytes_out = size(copy.key.as_deref(), copy.value.as_deref());
                    if let Some(sink) = &run.sink {
                        let mut line = Vec::new();
                        let written = Record {
                            key: copy.key.as_deref(),
                            value: copy.value.as_deref(),
                            timestamp: Some(shifted),
                            ..view
                        };
                        replicator_domain::lines::write(&written, &mut line);
                        while let Err(error) = sink.append(&line) {
                            run.enter(Phase::Failed(error.to_string()));
                            tokio::time::sleep(AGAIN).await;
                        }
                        run.recover(|| self.phase());
                        run.counters
                            .target
                            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    } else {
                        let sending = copy.send(producer, &target);
                        waiting.push_back((copy, sending));
                    }
                }
                other => leave_out(other, &mut tally),
            }
            run.count(&tally);
            while waiting.len() > IN_FLIGHT {
                let arrived = oldest(&mut waiting).await;
                self.settle(&mut waiting, arrived, run, producer, &target)
                    .await;
            }
        }
        while !waiting.is_empty() {
            let arrived = oldest(&mut waiting).await;
            self.settle(&mut waiting, arrived, run, producer, &target)
                .await;
        }
    }

    /// The oldest is done; one that failed is sent again until it arrives.
    async fn settle(
        &self,
        waiting: &mut VecDeque<(Copied, citizenk::Sending)>,
        mut arrived: Arrived,
        run: &Run,
        producer: &Producer,
        target: &Topic<RawBytes, KeyBytes>,
    ) {
        let Some((copy, _)) = waiting.pop_front() else {
            return;
        };
        while let Err(error) = arrived {
            run.enter(Phase::Failed(error.to_string()));
            tokio::time::sleep(AGAIN).await;
            arrived = copy.send(producer, target).await;
        }
        run.recover(|| self.phase());
        run.counters
            .target
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// A record on its way, kept until it is acknowledged.
struct Copied {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: replicator_domain::HeaderList,
    partition: Option<i32>,
    timestamp: i64,
    original: Option<i64>,
}

impl Copied {
    fn send(&self, producer: &Producer, target: &Topic<RawBytes, KeyBytes>) -> citizenk::Sending {
        let key = self.key.clone().map(KeyBytes);
        let original = self.original.map(|at| at.to_string());
        let mut record = producer.record(target).timestamp(self.timestamp);
        if let Some(key) = &key {
            record = record.key(key);
        }
        if let Some(partition) = self.partition {
            record = record.partition(partition);
        }
        for (name, value) in &self.headers {
            record = record.header(name, value.as_deref().unwrap_or_default());
        }
        if let Some(original) = &original {
            record = record.header("citizenk-original-timestamp", original);
        }
        match &self.value {
            Some(value) => record.send(RawBytes(value.clone())),
            None => record.tombstone(),
        }
    }
}

type Arrived = Result<citizenk::Sent, citizenk::ProduceError>;

/// Waits for the oldest, which stays where it is.
async fn oldest(waiting: &mut VecDeque<(Copied, citizenk::Sending)>) -> Arrived {
    match waiting.front_mut() {
        Some((_, sending)) => sending.await,
        None => std::future::pending().await,
    }
}
