//! Records as they came: for agents that pass them on without looking into them.

use std::fmt;
use std::time::Duration;

use super::builder::AgentBuilder;
use super::input::{AgentInput, BatchInput, Place};
use crate::codec::{Codec, Decode, DecodeFn, KeyCodec, Raw, RawBytes};
use crate::error::DecodeError;
use crate::extract::EventBatch;
use crate::record::{Chunk, Headers, RecordRef, Timestamp};
use crate::schema::WireOptions;
use crate::staging::RecordWriter;
use crate::topic::describe::TopicInfo;
use crate::topic::{DEFAULT_CLUSTER, Direction, Partitioner, Topic};

/// The value of records that nobody decodes; see [`RawRecords`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undecoded(());

impl Decode<Raw> for Undecoded {
    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(()))
    }
}

/// A batch of records of one partition, in offset order, tombstones included: an agent's input without
/// decoding and without a copy.
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::{Agent, RawRecords, testing::TestApp};
///
/// const TARGET: Topic<RawBytes> = Topic::raw("target");
///
/// let copy = Agent::builder::<RawRecords>("copy")
///     .raw(["source"])
///     .sends(&TARGET)
///     .handle(async |records: RawRecords, out: Outbox| -> citizenk::Result<()> {
///         let wanted = records.iter().filter(|record| record.key() != Some(b"private"));
///         out.forward(&TARGET, wanted)?;
///         Ok(())
///     });
/// # citizenk::testing::block_on(async {
/// let app = TestApp::new(App::new("copy").agent(copy)).start().await?;
/// app.topic(&TARGET.named("source")).push_raw(Some(b"k"), b"bytes");
/// app.settle().await;
/// assert_eq!(app.topic(&TARGET).sent_raw(), [(Some(b"k".to_vec()), Some(b"bytes".to_vec()))]);
/// # app.stop().await }).unwrap();
/// ```
#[derive(Default)]
pub struct RawRecords {
    runs: Vec<Run>,
    len: usize,
}

/// Consecutive records of a chunk.
struct Run {
    chunk: Chunk,
    start: usize,
    end: usize,
}

impl fmt::Debug for RawRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawRecords({})", self.len)
    }
}

impl RawRecords {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none; a handler is never called so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The records, in offset order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = RawRecord<'_>> {
        self.runs.iter().flat_map(|run| {
            (run.start..run.end).map(|index| RawRecord {
                chunk: &run.chunk,
                index,
            })
        })
    }
}

/// One record as it came, borrowed from its batch.
#[derive(Clone, Copy)]
pub struct RawRecord<'a> {
    chunk: &'a Chunk,
    index: usize,
}

impl fmt::Debug for RawRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RecordRef::new(self.chunk.clone(), self.index).fmt(f)
    }
}

impl<'a> RawRecord<'a> {
    /// The topic's name on the broker.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.chunk.topic()
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.chunk.partition()
    }

    /// The record's offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.chunk.offset(self.index)
    }

    /// When it was written.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.chunk.timestamp(self.index)
    }

    /// The key's bytes.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.chunk.key(self.index)
    }

    /// The value's bytes; `None`: a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.chunk.payload(self.index)
    }

    /// Ends a staged record with the value as it came.
    pub(crate) fn stage_value(&self, writer: &mut RecordWriter<'_>) {
        writer.finish_with_value_of(self.chunk, self.index);
    }

    /// Calls `visit` with name and value of every header, in order, duplicates included.
    pub fn visit_headers(&self, mut visit: impl FnMut(&str, Option<&[u8]>)) {
        self.chunk.headers(self.index, &mut visit);
    }

    /// The headers, copied.
    #[must_use]
    pub fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        self.visit_headers(|name, value| headers.push(name, value));
        headers
    }
}

impl AgentInput for RawRecords {
    type Value = Undecoded;
    type Mode = EventBatch;
    type Buffer = Self;
    const BATCH: bool = true;

    fn push(buffer: &mut Self, _: Option<Undecoded>, place: Place<'_>) -> bool {
        buffer.len += 1;
        match buffer.runs.last_mut() {
            Some(run)
                if run.end == place.index
                    && std::ptr::addr_eq(&raw const **place.chunk, &raw const *run.chunk) =>
            {
                run.end += 1;
            }
            _ => buffer.runs.push(Run {
                chunk: place.chunk.clone(),
                start: place.index,
                end: place.index + 1,
            }),
        }
        true
    }

    fn take(buffer: &mut Self) -> Option<Self> {
        (buffer.len > 0).then(|| std::mem::take(buffer))
    }
}

impl BatchInput for RawRecords {}

/// Records that are there go at once, at most so many.
const MOST: usize = 1000;

impl AgentBuilder<Undecoded, EventBatch> {
    /// Reads topics as they are, whatever their format, also one the app knows; names may be patterns as in
    /// [`AgentBuilder::topics`]. A batch is what is there, at most 1000 records, unless `batch_size` and
    /// `batch_timeout` behind this line say otherwise.
    #[must_use]
    pub fn raw(self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let any: Topic<Undecoded, RawBytes> = Topic {
            name: "",
            codec: Raw::NAME,
            media_type: Raw::MEDIA_TYPE,
            decode: Some(DecodeFn::Plain(Undecoded::decode)),
            encode: None,
            from_json: None,
            to_json: None,
            schema: |generator| generator.subschema_for::<RawBytes>(),
            own: None,
            in_registry: false,
            wire: WireOptions::DEFAULT,
            #[cfg(feature = "strict-json")]
            strict: None,
            key: KeyCodec::raw(),
            partitioner: Partitioner::Murmur2,
            direction: Direction::Input,
            cluster: DEFAULT_CLUSTER,
            declared: crate::topic::Declared::default(),
        };
        self.topics(&any, names)
            .batch_size(MOST)
            .batch_timeout(Duration::ZERO)
    }
}

/// Whether a topic is read without knowing its format.
pub(crate) fn is_undecoded(topic: &TopicInfo) -> bool {
    topic.value_type == std::any::type_name::<Undecoded>()
}

/// Whether a topic's values are bytes to the program.
pub(crate) fn is_bytes(topic: &TopicInfo) -> bool {
    topic.value_type == std::any::type_name::<RawBytes>()
}
