//! Outputs of one attempt.
//!
//! In: typed values a handler sends. Out: staged bytes, taken by the lane when the attempt succeeded
//! and forgotten when it failed. Clones share the staging area; a clone kept beyond its attempt
//! answers an error.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::outputs::{OutputTable, OutputTarget};
use super::producer::trace_headers;
use super::{Call, Extract, Mode, PrepareContext, Requirements};
use crate::agent::RawRecord;
use crate::error::{AgentError, BuildIssue, DecodeError, EncodeError};
use crate::record::{Headers, RecordRef};
use crate::schema::Schemas;
use crate::staging::{Mark, OutputTopic, RecordWriter, StagedBatch};
use crate::topic::{Topic, TopicId};

/// Why an output was not staged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The agent did not declare the topic.
    #[error("topic `{topic}` is not declared; add it to `sends = [..]` (declared: {declared})")]
    Undeclared {
        /// The topic sent to.
        topic: &'static str,
        /// What may be sent to.
        declared: String,
    },
    /// The attempt staged more than one attempt may.
    #[error("one call staged more than {limit}; send in smaller batches, or use `Producer`")]
    Full {
        /// The limit that was reached.
        limit: String,
    },
    /// The outbox belongs to a call that has ended.
    #[error(
        "the call this outbox belongs to has ended; use `Producer` or `Background` beyond a call"
    )]
    Ended,
    /// The topic is read only.
    #[error("topic `{topic}` is declared for input only")]
    InputOnly {
        /// The topic sent to.
        topic: &'static str,
    },
    /// The key or value has no form in the topic's format.
    #[error("topic `{topic}`: {source}")]
    Encode {
        /// The topic sent to.
        topic: &'static str,
        /// What the codec says.
        source: EncodeError,
    },
}

pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
pub(crate) const MAX_RECORDS: usize = 100_000;

#[derive(Debug)]
struct Area {
    batch: StagedBatch,
    table: Arc<OutputTable>,
    /// Clones remember the epoch of their attempt; the area moves on with each attempt.
    epoch: u64,
    ended: bool,
    /// Where the running attempt began: earlier records belong to attempts that succeeded.
    start: Mark,
    start_len: usize,
    start_bytes: usize,
}

impl Area {
    /// The topic's index in the table, for an attempt that still runs.
    fn open(
        &mut self,
        epoch: u64,
        topic: TopicId,
        partitioner: crate::Partitioner,
    ) -> Result<usize, OutboxError> {
        if self.ended || self.epoch != epoch {
            return Err(OutboxError::Ended);
        }
        match self.table.index_of(topic) {
            Some(index) => Ok(index),
            None if self.table.open => {
                let table = Arc::make_mut(&mut self.table);
                table.targets.push(OutputTarget {
                    id: topic,
                    topic: OutputTopic {
                        cluster: topic.cluster,
                        name: topic.text().to_owned(),
                        partitioner,
                    },
                });
                Ok(table.targets.len() - 1)
            }
            None => {
                let targets = self.table.targets.iter();
                let names: Vec<_> = targets.map(|target| target.id.text()).collect();
                let declared = if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                };
                let topic = topic.text();
                Err(OutboxError::Undeclared { topic, declared })
            }
        }
    }

    /// Whether the attempt may stage one more record.
    fn room(&self) -> Result<(), OutboxError> {
        let limit = if self.batch.len() - self.start_len >= MAX_RECORDS {
            format!("{MAX_RECORDS} records")
        } else if self.batch.byte_len() - self.start_bytes >= MAX_BYTES {
            format!("{} MiB", MAX_BYTES >> 20)
        } else {
            return Ok(());
        };
        Err(OutboxError::Full { limit })
    }
}

/// Key and value of a staged record.
pub type StagedPair<V, K> = (Option<K>, Option<V>);

/// Stages records that leave when the handler succeeds; an attempt that fails leaves nothing behind.
///
/// The input record is settled once the broker has acknowledged all of them. At most 16 MiB or 100,000
/// records per call.
///
/// ```
/// use citizenk::prelude::*;
/// #[citizenk::message]
/// #[derive(Debug, PartialEq)]
/// struct Alert { text: String }
/// const ALERTS: Topic<Alert, u32> = Topic::json("alerts");
///
/// async fn handler(camera: u32, out: Outbox) -> citizenk::Result<()> {
///     out.send(&ALERTS, &camera, Alert { text: "dark".into() })?;
///     out.record(&ALERTS).key(&camera).header("level", "2").send(Alert { text: "darker".into() })?;
///     out.tombstone(&ALERTS, &camera)?;
///     Ok(())
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let out = Outbox::detached();
/// handler(7, out.clone()).await.unwrap();
/// let sent = out.staged(&ALERTS).unwrap();
/// assert_eq!(sent[0], (Some(7), Some(Alert { text: "dark".into() })));
/// assert_eq!(sent[2], (Some(7), None));
/// # });
/// ```
#[derive(Clone)]
pub struct Outbox {
    area: Arc<Mutex<Area>>,
    epoch: u64,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({} staged)", self.len())
    }
}

impl Outbox {
    /// An outbox that takes every topic and sends nothing: for tests of handlers.
    #[must_use]
    pub fn detached() -> Self {
        Self::with_table(Arc::new(OutputTable {
            targets: Vec::new(),
            open: true,
            schemas: Schemas::local(),
        }))
    }

    pub(crate) fn with_table(table: Arc<OutputTable>) -> Self {
        let batch = StagedBatch::default();
        let start = batch.mark();
        let area = Area {
            batch,
            table,
            epoch: 0,
            ended: false,
            start,
            start_len: 0,
            start_bytes: 0,
        };
        Self {
            area: Arc::new(Mutex::new(area)),
            epoch: 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Area> {
        self.area.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stages a record.
    ///
    /// # Errors
    /// [`OutboxError`]: the topic is not declared, the outbox is full or belongs to an ended call, or
    /// the key or value cannot be encoded.
    pub fn send<V, K>(&self, topic: &Topic<V, K>, key: &K, value: V) -> Result<(), OutboxError> {
        self.record(topic).key(key).send(value)
    }

    /// Stages a tombstone: the deletion of the key on a compacted topic.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    pub fn tombstone<V, K>(&self, topic: &Topic<V, K>, key: &K) -> Result<(), OutboxError> {
        self.record(topic).key(key).tombstone()
    }

    /// Starts a record with headers, a partition or a timestamp of its own.
    #[must_use = "nothing is staged before `send` or `tombstone`"]
    pub fn record<'a, V, K>(&'a self, topic: &'a Topic<V, K>) -> OutboxRecord<'a, V, K> {
        OutboxRecord {
            outbox: self,
            topic,
            key: KeyBytes::None,
            headers: Vec::new(),
            partition: None,
            timestamp: None,
        }
    }

    /// Stages records as they came: bytes of key and value, partition, timestamp, and headers in their order,
    /// duplicates included. Nothing is decoded, and each byte is copied once.
    ///
    /// # Errors
    /// As [`Outbox::send`]; what was staged before the error stays staged.
    pub fn forward<'a, V, K>(
        &self,
        topic: &Topic<V, K>,
        records: impl IntoIterator<Item = RawRecord<'a>>,
    ) -> Result<(), OutboxError> {
        self.forward_to(topic, records, |record| Some(record.partition()))
    }

    /// [`Outbox::forward`], but the topic's partitioner chooses the partition by the key: for a topic with
    /// another number of partitions.
    ///
    /// # Errors
    /// As [`Outbox::forward`].
    pub fn forward_by_key<'a, V, K>(
        &self,
        topic: &Topic<V, K>,
        records: impl IntoIterator<Item = RawRecord<'a>>,
    ) -> Result<(), OutboxError> {
        self.forward_to(topic, records, |_| None)
    }

    fn forward_to<'a, V, K>(
        &self,
        topic: &Topic<V, K>,
        records: impl IntoIterator<Item = RawRecord<'a>>,
        partition: impl Fn(&RawRecord<'a>) -> Option<i32>,
    ) -> Result<(), OutboxError> {
        // Before the area is locked, once for all: what yields them may stage records of its own.
        let records: Vec<RawRecord<'a>> = records.into_iter().collect();
        let mut area = self.lock();
        let index = area.open(self.epoch, topic.id(), topic.partitioner)?;
        for record in &records {
            area.room()?;
            let mut writer = area.batch.record(index);
            if let Some(key) = record.key() {
                writer.key_bytes(key);
            }
            record.visit_headers(|name, value| {
                writer.header(name, value);
            });
            writer
                .partition(partition(record))
                .timestamp(record.timestamp().millis());
            record.stage_value(&mut writer);
        }
        Ok(())
    }

    /// How many records the running attempt has staged.
    #[must_use]
    pub fn len(&self) -> usize {
        let area = self.lock();
        area.batch.len() - area.start_len
    }

    /// Whether it has staged none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is staged for a topic, decoded: for tests of handlers.
    ///
    /// # Errors
    /// When the bytes cannot be decoded, e.g. for an output-only topic.
    pub fn staged<V, K>(&self, topic: &Topic<V, K>) -> Result<Vec<StagedPair<V, K>>, DecodeError> {
        let area = self.lock();
        let Some(index) = area.table.index_of(topic.id()) else {
            return Ok(Vec::new());
        };
        let decode = topic.decode.ok_or_else(|| {
            DecodeError::message(
                topic.codec,
                format!("topic `{}` is declared for output only", topic.name),
            )
        })?;
        let schemas = &area.table.schemas;
        area.batch
            .iter()
            .filter(|staged| staged.topic == index)
            .map(|staged| {
                let key = staged.key.map(|bytes| topic.decode_key(bytes, schemas));
                let value = staged
                    .value
                    .map(|bytes| topic.decode_value(decode, bytes, schemas));
                Ok((key.transpose()?, value.transpose()?))
            })
            .collect()
    }

    /// Headers of what is staged for a topic: for tests of handlers.
    #[must_use]
    pub fn staged_headers<V, K>(&self, topic: &Topic<V, K>) -> Vec<Headers> {
        let area = self.lock();
        let Some(index) = area.table.index_of(topic.id()) else {
            return Vec::new();
        };
        area.batch
            .iter()
            .filter(|staged| staged.topic == index)
            .map(|staged| {
                let mut headers = Headers::new();
                staged
                    .headers()
                    .for_each(|(name, value)| headers.push(name, value));
                headers
            })
            .collect()
    }

    // What follows is the lane's side.

    /// Begins an attempt: what is staged already belongs to earlier ones. The handle to hand out is
    /// the returned one.
    pub(crate) fn begin(&mut self) {
        let epoch = {
            let mut area = self.lock();
            area.epoch += 1;
            area.ended = false;
            area.start = area.batch.mark();
            area.start_len = area.batch.len();
            area.start_bytes = area.batch.byte_len();
            area.epoch
        };
        self.epoch = epoch;
    }

    /// Ends the attempt; its records stay when it succeeded. Answers how many it staged.
    pub(crate) fn end(&self, succeeded: bool) -> usize {
        let mut area = self.lock();
        area.ended = true;
        if !succeeded {
            let start = area.start;
            area.batch.truncate(start);
        }
        area.batch.len() - area.start_len
    }

    /// Takes all records of ended attempts, giving `empty` (cleared, capacity kept) in exchange.
    pub(crate) fn swap(&self, empty: &mut StagedBatch) {
        empty.clear();
        let mut area = self.lock();
        std::mem::swap(&mut area.batch, empty);
        area.start = area.batch.mark();
        area.start_len = 0;
        area.start_bytes = 0;
    }

    /// Takes the records of earlier attempts out while one is running: a rare copy, for a call that waits
    /// while finished ones want to leave.
    pub(crate) fn take_earlier(&self, earlier: &mut StagedBatch) {
        let mut area = self.lock();
        let area = &mut *area;
        if area.start_len == 0 {
            return;
        }
        let mut running = StagedBatch::default();
        for index in 0..area.batch.len() {
            let taker = if index < area.start_len {
                &mut *earlier
            } else {
                &mut running
            };
            taker.push_from(&area.batch, index);
        }
        area.start = StagedBatch::default().mark();
        (area.start_len, area.start_bytes) = (0, 0);
        area.batch = running;
    }

    /// Ends the outbox of a call that succeeded: its table and records.
    pub(crate) fn finish(&self) -> (Arc<OutputTable>, StagedBatch) {
        let mut area = self.lock();
        area.ended = true;
        (area.table.clone(), std::mem::take(&mut area.batch))
    }

    /// Stages raw bytes on behalf of the runtime (dead letters, outputs keyed as the input).
    pub(crate) fn stage_raw(&self, topic: usize, write: impl FnOnce(RecordWriter<'_>)) {
        let mut area = self.lock();
        write(area.batch.record(topic));
    }

    pub(super) fn stage<E>(
        &self,
        topic: TopicId,
        partitioner: crate::Partitioner,
        write: impl FnOnce(RecordWriter<'_>, &Schemas) -> Result<(), E>,
    ) -> Result<Result<(), E>, OutboxError> {
        let mut area = self.lock();
        let area = &mut *area;
        let index = area.open(self.epoch, topic, partitioner)?;
        area.room()?;
        Ok(write(area.batch.record(index), &area.table.schemas))
    }
}

enum KeyBytes<'a, K> {
    None,
    Typed(&'a K),
    Record(&'a RecordRef),
}

/// A record being staged; see [`Outbox::record`].
#[must_use = "nothing is staged before `send` or `tombstone`"]
pub struct OutboxRecord<'a, V, K> {
    outbox: &'a Outbox,
    topic: &'a Topic<V, K>,
    key: KeyBytes<'a, K>,
    headers: Vec<(&'a str, &'a [u8])>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

impl<V, K> fmt::Debug for OutboxRecord<'_, V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboxRecord({})", self.topic.name)
    }
}

impl<'a, V, K> OutboxRecord<'a, V, K> {
    /// The record's key.
    pub fn key(mut self, key: &'a K) -> Self {
        self.key = KeyBytes::Typed(key);
        self
    }

    /// The key of the input record, byte for byte.
    pub(crate) fn key_of(mut self, record: &'a RecordRef) -> Self {
        self.key = KeyBytes::Record(record);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.headers.push((name, value.as_ref()));
        self
    }

    /// A partition of your choice instead of the partitioner's.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Milliseconds since the Unix epoch; default: the time of sending.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }

    /// Stages the record.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    pub fn send(self, value: V) -> Result<(), OutboxError> {
        self.send_ref(&value)
    }

    /// Stages the record without taking the value.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    pub fn send_ref(self, value: &V) -> Result<(), OutboxError> {
        self.stage(Some(value))
    }

    /// Stages a record without value.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    pub fn tombstone(self) -> Result<(), OutboxError> {
        self.stage(None)
    }

    fn stage(self, value: Option<&V>) -> Result<(), OutboxError> {
        let topic = self.topic;
        let encode = topic.encode.ok_or_else(|| OutboxError::InputOnly {
            topic: topic.id().text(),
        })?;
        self.outbox
            .stage(
                topic.id(),
                topic.partitioner,
                |mut writer, schemas| -> Result<(), EncodeError> {
                    match self.key {
                        KeyBytes::None => {}
                        KeyBytes::Typed(key) => {
                            writer.key_with(|out| topic.encode_key(key, out, schemas))?;
                        }
                        KeyBytes::Record(record) => {
                            if let Some(key) = record.key() {
                                writer.key_bytes(key);
                            }
                        }
                    }
                    for (name, value) in &self.headers {
                        writer.header(name, Some(value));
                    }
                    trace_headers(&self.headers, &mut writer);
                    writer.partition(self.partition).timestamp(self.timestamp);
                    match value {
                        Some(value) => writer
                            .finish_with(|out| topic.encode_value(encode, value, out, schemas)),
                        None => {
                            writer.finish(None);
                            Ok(())
                        }
                    }
                },
            )?
            .map_err(|source| OutboxError::Encode {
                topic: topic.id().text(),
                source,
            })
    }
}

impl<M: Mode> Extract<M> for Outbox {
    type Prepared = ();

    fn requires(requirements: &mut Requirements) {
        requirements.uses_outbox = true;
    }

    fn prepare(_: &PrepareContext<'_>) -> Result<(), BuildIssue> {
        Ok(())
    }

    fn extract((): &(), call: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(call.outbox())
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
