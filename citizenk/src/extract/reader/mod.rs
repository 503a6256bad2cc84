//! Bounded reads beside the consumers: what a topic holds, as a stream.
//!
//! In: a topic and where to begin and end. Out: a [`RecordStream`]. The reading itself is behind
//! [`ReadPort`]; here are the types of the request and of what comes back. Whoever holds the stream owns
//! the read: dropping it ends it.

mod error;
mod position;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;

pub use error::ReadError;
pub use position::{Position, PositionError};
pub(crate) use stream::Counts;
pub use stream::{Progress, RecordStream};

use super::{Call, Extract, Mode, PrepareContext};
use crate::codec::RawBytes;
use crate::config::DEFAULT_CLUSTER;
use crate::error::{AgentError, BuildIssue, DecodeError, UnknownCluster};
use crate::record::{Chunk, TopicPartition};
use crate::schema::{Named, Payload, Schemas, Side};
use crate::topic::Topic;

/// How long a read waits for the next record before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// An offset of each partition.
pub(crate) type Offsets = BTreeMap<i32, i64>;

/// What a partition has, and what of it a read would give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The first offset that is kept.
    pub(crate) low: i64,
    pub(crate) from: i64,
    /// The end.
    pub(crate) high: i64,
}

pub(crate) type Extents =
    Pin<Box<dyn Future<Output = Result<BTreeMap<i32, Extent>, ReadError>> + Send>>;

/// Where a read begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Begin {
    At(Position),
    /// At these offsets; partitions that are not named at their first record.
    Each(Arc<Offsets>),
    /// So many records before the end, over all partitions.
    Last(u64),
    /// So many records before the end of each partition.
    LastEach(u64),
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest {
    pub(crate) cluster: &'static str,
    /// In the program or, with `on_broker`, there.
    pub(crate) topic: String,
    pub(crate) on_broker: bool,
    /// Empty: all.
    pub(crate) partitions: BTreeSet<i32>,
    pub(crate) begin: Begin,
    pub(crate) to: Position,
    /// In place of `to`, for the partitions named.
    pub(crate) ends: Option<Arc<Offsets>>,
    /// Go on behind `to`, for ever.
    pub(crate) follow: bool,
    pub(crate) patience: Duration,
    pub(crate) counts: Arc<Counts>,
}

/// Something that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// These records of the chunk.
    Records(Chunk, Range<usize>),
    /// Offsets that were asked for and are no more.
    Deleted(TopicPartition, i64, i64),
}

pub(crate) type FoundStream = Pin<Box<dyn Stream<Item = Result<Found, ReadError>> + Send>>;

/// Carries reads out.
pub(crate) trait ReadPort: Send + Sync {
    /// Nothing is asked of the cluster before the stream is polled.
    fn open(&self, request: ReadRequest) -> FoundStream;
    /// What the request's beginning means now.
    fn extents(&self, request: ReadRequest) -> Extents;
    /// The clusters there are; the first is meant where none is named.
    fn clusters(&self) -> Vec<&'static str> {
        vec![DEFAULT_CLUSTER]
    }
}

/// Reads what topics hold, without a consumer group: nothing is committed, no group is joined or looked
/// for, other readers notice nothing.
///
/// For tools, tests and endpoints: the last records of a topic, those of an hour, all of them. An argument of
/// agents, timers, hooks and HTTP handlers; programs without an app make one with [`Reader::connect`].
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::Reader;
///
/// #[citizenk::message]
/// struct Order { id: u32 }
///
/// const ORDERS: Topic<Order> = Topic::json("orders");
///
/// /// The ids of the ten newest orders.
/// async fn newest(reader: Reader) -> Result<Vec<u32>, citizenk::ReadError> {
///     let orders = reader.topic(&ORDERS).last(10).stream().all().await?;
///     Ok(orders.iter().map(|order| order.value.id).collect())
/// }
/// ```
#[derive(Clone)]
pub struct Reader {
    port: Arc<dyn ReadPort>,
    /// Of topics that are named by text.
    cluster: &'static str,
    schemas: Schemas,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl Reader {
    pub(crate) fn new(port: Arc<dyn ReadPort>, schemas: Schemas) -> Self {
        let cluster = port.clusters().first().copied();
        Self {
            cluster: cluster.unwrap_or(DEFAULT_CLUSTER),
            port,
            schemas,
        }
    }

    pub(crate) fn with_schemas(self, schemas: Schemas) -> Self {
        Self { schemas, ..self }
    }

    /// The same reader, whose [`Reader::raw`] reads topics of another of the app's clusters. By default that
    /// is the one without a name or, in an app that has none, the first.
    ///
    /// # Errors
    /// The app has no such cluster.
    pub fn on(&self, cluster: &str) -> Result<Self, UnknownCluster> {
        let known = self.port.clusters();
        let found = known.iter().copied().find(|known| *known == cluster);
        Ok(Self {
            port: self.port.clone(),
            cluster: found.ok_or_else(|| UnknownCluster::new(cluster, &known))?,
            schemas: self.schemas.clone(),
        })
    }

    /// A read of typed values. Tombstones are passed over, as by an agent that takes no `Option`; see
    /// [`Read::tombstones`].
    pub fn topic<V: 'static, K>(&self, topic: &Topic<V, K>) -> Read<V> {
        let decode = topic.decode;
        let name = topic.id().text().to_owned();
        let wire = self.schemas.wire(&topic.side(Side::Value)).clone();
        self.read(topic.cluster, name, false, move |chunk, index| {
            let decode = decode.ok_or(Unread::OutputOnly)?;
            let decoded = chunk.payload(index).map(|bytes| {
                let mut payload = Payload::bare(bytes);
                if decode.is_framed() {
                    [_, payload.named] = Named::of_headers(|visit| chunk.headers(index, visit));
                }
                decode.call(payload, || &wire)
            });
            Ok(decoded.transpose()?)
        })
    }

    /// A read of a topic by its name on the broker, which need not be a topic of the program: bytes as
    /// they are, `None` for tombstones.
    pub fn raw(&self, topic: impl Into<String>) -> Read<Option<RawBytes>> {
        self.read(self.cluster, topic.into(), true, raw)
    }

    fn read<T>(
        &self,
        cluster: &'static str,
        topic: String,
        on_broker: bool,
        decode: impl Fn(&Chunk, usize) -> Result<Option<T>, Unread> + Send + Sync + 'static,
    ) -> Read<T> {
        Read {
            port: self.port.clone(),
            request: ReadRequest {
                cluster,
                topic,
                on_broker,
                partitions: BTreeSet::new(),
                begin: Begin::At(Position::Earliest),
                to: Position::Latest,
                ends: None,
                follow: false,
                patience: PATIENCE,
                counts: Arc::default(),
            },
            decode: Arc::new(decode),
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one of several ways to read a payload, and the others fail"
)]
fn raw(chunk: &Chunk, index: usize) -> Result<Option<Option<RawBytes>>, Unread> {
    let bytes = chunk.payload(index);
    Ok(Some(bytes.map(|bytes| RawBytes(bytes.to_vec()))))
}

/// Why a payload has no value.
pub(crate) enum Unread {
    OutputOnly,
    Decode(DecodeError),
}

impl From<DecodeError> for Unread {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

/// A payload to a value; `None`: passed over.
type DecodePayload<T> = dyn Fn(&Chunk, usize) -> Result<Option<T>, Unread> + Send + Sync;

/// What to read of a topic; [`Read::stream`] begins.
///
/// By default everything from the first record up to the end as it is when the read begins.
#[must_use = "nothing is read before the stream is polled"]
pub struct Read<T> {
    port: Arc<dyn ReadPort>,
    request: ReadRequest,
    decode: Arc<DecodePayload<T>>,
}

impl<T> fmt::Debug for Read<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, .. } = self;
        f.debug_struct("Read")
            .field("topic", &request.topic)
            .field("begin", &request.begin)
            .field("to", &request.to)
            .field("follow", &request.follow)
            .finish_non_exhaustive()
    }
}

impl<T: 'static> Read<T> {
    /// Only this partition; may be called again for more.
    pub fn partition(mut self, partition: i32) -> Self {
        self.request.partitions.insert(partition);
        self
    }

    /// Where to begin; default [`Position::Earliest`].
    pub fn from(mut self, position: Position) -> Self {
        self.request.begin = Begin::At(position);
        self
    }

    /// Where to end, before the record at this position; default [`Position::Latest`], the end as it is
    /// when the read begins. A position behind that end is that end: a read does not wait for what is not
    /// written yet (see [`Read::follow`]).
    pub fn to(mut self, position: Position) -> Self {
        self.request.to = position;
        self
    }

    /// The newest `count` records before the end, over all partitions that are read, the oldest first.
    ///
    /// Which is newer is said by the records' timestamps; records of one partition keep their order. Marks
    /// of transactions, aborted records and those that compaction removed do not count. Up to `count` records
    /// of each partition are in memory before the first comes.
    pub fn last(mut self, count: u64) -> Self {
        self.request.begin = Begin::Last(count);
        self
    }

    /// The newest `count` records of each partition, partition by partition. In memory as with
    /// [`Read::last`].
    pub fn last_each(mut self, count: u64) -> Self {
        self.request.begin = Begin::LastEach(count);
        self
    }

    /// Goes on with what is written later, also to partitions that are added later, until the stream is
    /// dropped. [`Read::to`] has no effect then.
    pub fn follow(mut self) -> Self {
        self.request.follow = true;
        self
    }

    /// How long the read waits for the next record before it fails with [`ReadError::Silent`]; default
    /// 30 s. Time in which nobody polls the stream and a record is there does not count. Has no effect on
    /// waiting for records to come after [`Read::follow`].
    pub fn patience(mut self, patience: Duration) -> Self {
        self.request.patience = patience;
        self
    }

    /// What becomes of each value.
    pub(crate) fn and_then<U>(
        self,
        change: impl Fn(T) -> Result<U, DecodeError> + Send + Sync + 'static,
    ) -> Read<U> {
        let decode = self.decode;
        Read {
            port: self.port,
            request: self.request,
            decode: Arc::new(move |chunk, index| {
                let value = decode(chunk, index)?;
                Ok(value.map(&change).transpose()?)
            }),
        }
    }

    /// Tombstones too, as `None`.
    pub fn tombstones(self) -> Read<Option<T>> {
        let decode = self.decode;
        Read {
            port: self.port,
            request: self.request,
            decode: Arc::new(move |chunk, index| match chunk.payload(index) {
                None => Ok(Some(None)),
                Some(_) => decode(chunk, index).map(Some),
            }),
        }
    }

    /// Bytes as they are instead of decoded values, `None` for tombstones.
    pub fn undecoded(self) -> Read<Option<RawBytes>> {
        Read {
            port: self.port,
            request: self.request,
            decode: Arc::new(raw),
        }
    }

    /// The records: of one partition in their order, of several in no particular order.
    ///
    /// Nothing is asked of the cluster before the stream is polled. What is read ahead is bounded (some
    /// megabytes), and reading stops while nobody polls. Must be polled inside a tokio runtime.
    pub fn stream(self) -> RecordStream<T> {
        let counts = self.request.counts.clone();
        let found = self.port.open(self.request);
        RecordStream::new(found, self.decode, counts)
    }

    /// At these offsets; partitions that are not named at their first record.
    pub(crate) fn each_from(mut self, offsets: Offsets) -> Self {
        self.request.begin = Begin::Each(Arc::new(offsets));
        self
    }

    /// Up to before these offsets; partitions that are not named up to their end as it is now.
    pub(crate) fn each_to(mut self, offsets: Offsets) -> Self {
        self.request.ends = Some(Arc::new(offsets));
        self
    }

    /// What the beginning means now, of each partition.
    pub(crate) fn extents(self) -> Extents {
        self.port.extents(self.request)
    }

    /// The records undecoded, a chunk at a time.
    pub(crate) fn chunks(self) -> FoundStream {
        self.port.open(self.request)
    }
}

impl<M: Mode> Extract<M> for Reader {
    type Prepared = Self;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
        Ok(cx.env.reader.clone())
    }

    fn extract(prepared: &Self, _: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(prepared.clone())
    }
}
