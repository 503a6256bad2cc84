//! A topic as a test sees it.

use std::fmt;

use super::TestApp;
use crate::record::{Headers, OwnedRecord, Timestamp};
use crate::schema::{Payload, Side};
use crate::topic::Topic;
use crate::transport::memory::NewRecord;

/// Writes and reads a topic of a [`TestApp`].
pub struct TestTopic<'a, V, K> {
    app: &'a TestApp,
    topic: Topic<V, K>,
}

impl<V, K> fmt::Debug for TestTopic<'_, V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestTopic({})", self.topic.name)
    }
}

/// A record of a topic, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct SentRecord<V, K> {
    /// The key.
    pub key: Option<K>,
    /// The value; `None` is a tombstone.
    pub value: Option<V>,
    /// The headers.
    pub headers: Headers,
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// When it was sent.
    pub timestamp: Timestamp,
}

/// Key and value as bytes.
pub type RawPair = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A record on a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The dead-letter topic.
    pub topic: String,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes, as they came.
    pub payload: Option<Vec<u8>>,
    /// Why it is there.
    pub reason: String,
    /// Where it failed: `decode`, `handler` or `produce`.
    pub stage: String,
    /// All headers.
    pub headers: Headers,
}

impl DeadLetter {
    pub(crate) fn from_record(record: OwnedRecord) -> Self {
        let fact = |name: &str| {
            let name = format!("{}{name}", crate::runtime::lane::DEAD_LETTER_HEADERS);
            record.headers.text(&name).unwrap_or_default().to_owned()
        };
        Self {
            topic: record.topic.to_string(),
            reason: fact("reason"),
            stage: fact("stage"),
            key: record.key,
            payload: record.payload,
            headers: record.headers,
        }
    }
}

impl TestApp {
    /// Reads topics beside the app, as a tool or an endpoint does: records that no agent has been handed yet
    /// are read too.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// use citizenk::testing::TestApp;
    ///
    /// const ORDERS: Topic<u32> = Topic::json("orders");
    ///
    /// # citizenk::testing::block_on(async {
    /// let app = TestApp::new(|| App::new("none").topic(&ORDERS)).start().await?;
    /// for order in 0..5 {
    ///     app.topic(&ORDERS).push(&"k".to_owned(), order);
    /// }
    /// let newest = app.reader().topic(&ORDERS).last(2).stream().all().await.unwrap();
    /// assert_eq!(newest.iter().map(|order| order.value).collect::<Vec<_>>(), [3, 4]);
    /// # app.stop().await }).unwrap();
    /// ```
    ///
    /// # Panics
    /// When the settings of the test are wrong.
    #[must_use]
    pub fn reader(&self) -> crate::Reader {
        match self.settings() {
            Ok(settings) => crate::Reader::over(self.clusters(), &settings, "citizenk-read")
                .with_schemas(self.schemas.clone()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Tools beside the app, on the same log.
#[cfg(test)]
impl TestApp {
    /// Runs a tool; meanwhile records are handed over, as in `settle`.
    pub(crate) async fn beside<F: Future>(&self, tool: F) -> F::Output {
        self.permit(None);
        let result = tool.await;
        self.permit(Some(0));
        result
    }
}

impl<'a, V, K> TestTopic<'a, V, K> {
    pub(crate) fn new(app: &'a TestApp, topic: Topic<V, K>) -> Self {
        Self { app, topic }
    }

    /// Appends a record.
    ///
    /// # Panics
    /// When the key or value cannot be encoded.
    #[track_caller]
    pub fn push(&self, key: &K, value: V) {
        self.append(
            Some(self.key_bytes(key)),
            Some(self.encoded(&value)),
            Headers::new(),
            None,
            Timestamp::None,
        );
    }

    /// Appends a tombstone.
    ///
    /// # Panics
    /// When the key cannot be encoded.
    #[track_caller]
    pub fn push_tombstone(&self, key: &K) {
        self.append(
            Some(self.key_bytes(key)),
            None,
            Headers::new(),
            None,
            Timestamp::None,
        );
    }

    /// Appends bytes as they are: what a foreign or faulty producer writes.
    #[track_caller]
    pub fn push_raw(&self, key: Option<&[u8]>, payload: &[u8]) {
        self.append(
            key.map(<[u8]>::to_vec),
            Some(payload.to_vec()),
            Headers::new(),
            None,
            Timestamp::None,
        );
    }

    /// Appends bytes with headers, on a partition of your choice.
    #[track_caller]
    pub fn push_to(&self, partition: i32, key: Option<&[u8]>, payload: &[u8], headers: Headers) {
        self.append(
            key.map(<[u8]>::to_vec),
            Some(payload.to_vec()),
            headers,
            Some(partition),
            Timestamp::None,
        );
    }

    /// Starts a record with a partition, headers or a timestamp of its own.
    #[must_use = "nothing is appended before `push` or `push_raw`"]
    pub fn record(&self) -> PushRecord<'_, V, K> {
        PushRecord {
            topic: self,
            key: None,
            headers: Headers::new(),
            partition: None,
            timestamp: Timestamp::None,
        }
    }

    #[track_caller]
    fn encoded(&self, value: &V) -> Vec<u8> {
        let Some(encode) = self.topic.encode else {
            panic!(
                "topic `{}` is declared for input only; use `push_raw`",
                self.topic.name
            )
        };
        let mut payload = Vec::new();
        let wire = || self.app.schemas.wire(&self.topic.side(Side::Value));
        if let Err(error) = encode.call(value, &mut payload, wire) {
            panic!("topic `{}`: {error}", self.topic.name);
        }
        payload
    }

    #[track_caller]
    fn key_bytes(&self, key: &K) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Err(error) = self.topic.encode_key(key, &mut bytes, &self.app.schemas) {
            panic!("topic `{}`: {error}", self.topic.name);
        }
        bytes
    }

    #[track_caller]
    fn append(
        &self,
        key: Option<Vec<u8>>,
        payload: Option<Vec<u8>>,
        headers: Headers,
        partition: Option<i32>,
        timestamp: Timestamp,
    ) {
        let (cluster, real) = (self.topic.cluster, self.app.real(self.topic.id()));
        let record = NewRecord {
            key,
            payload,
            headers,
            timestamp,
        };
        match self
            .app
            .on(cluster)
            .push(&real, partition, self.topic.partitioner, record)
        {
            Ok(at) => {
                let mut pushed = self
                    .app
                    .pushed
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                pushed.insert((cluster, real, at.partition, at.offset));
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// What the app sent to the topic, in order: everything but what the test itself pushed.
    ///
    /// # Panics
    /// When a record cannot be decoded; see [`TestTopic::sent_raw`].
    #[track_caller]
    pub fn sent(&self) -> Vec<SentRecord<V, K>> {
        let Some(decode) = self.topic.decode else {
            panic!(
                "topic `{}` is declared for output only; use `sent_raw`",
                self.topic.name
            )
        };
        self.records()
            .map(|record| {
                let decoded = record
                    .key
                    .as_deref()
                    .map(|bytes| self.topic.decode_key(bytes, &self.app.schemas))
                    .transpose()
                    .and_then(|key| {
                        Ok((
                            key,
                            record
                                .payload
                                .as_deref()
                                .map(|bytes| {
                                    decode.call(Payload::bare(bytes), || {
                                        self.app.schemas.wire(&self.topic.side(Side::Value))
                                    })
                                })
                                .transpose()?,
                        ))
                    });
                match decoded {
                    Ok((key, value)) => SentRecord {
                        key,
                        value,
                        headers: record.headers,
                        partition: record.partition,
                        offset: record.offset,
                        timestamp: record.timestamp,
                    },
                    Err(error) => {
                        panic!(
                            "{}/{}@{}: {error}",
                            self.topic.name, record.partition, record.offset
                        )
                    }
                }
            })
            .collect()
    }

    /// The bytes of what the app sent to the topic: key and value, in order.
    #[must_use]
    pub fn sent_raw(&self) -> Vec<RawPair> {
        self.records()
            .map(|record| (record.key, record.payload))
            .collect()
    }

    fn records(&self) -> impl Iterator<Item = OwnedRecord> + use<V, K> {
        let (cluster, real) = (self.topic.cluster, self.app.real(self.topic.id()));
        let pushed = self
            .app
            .pushed
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        self.app
            .on(cluster)
            .records(&real)
            .into_iter()
            .filter(move |record| {
                !pushed.contains(&(cluster, real.clone(), record.partition, record.offset))
            })
    }
}

/// A record a test appends; see [`TestTopic::record`].
#[must_use = "nothing is appended before `push` or `push_raw`"]
pub struct PushRecord<'a, V, K> {
    topic: &'a TestTopic<'a, V, K>,
    key: Option<Vec<u8>>,
    headers: Headers,
    partition: Option<i32>,
    timestamp: Timestamp,
}

impl<V, K> fmt::Debug for PushRecord<'_, V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushRecord({})", self.topic.topic.name)
    }
}

impl<V, K> PushRecord<'_, V, K> {
    /// The record's key; default: none.
    ///
    /// # Panics
    /// When it cannot be encoded.
    #[track_caller]
    pub fn key(mut self, key: &K) -> Self {
        self.key = Some(self.topic.key_bytes(key));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(name, Some(value));
        self
    }

    /// A partition of your choice instead of the partitioner's.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Milliseconds since the Unix epoch; default: the test's clock.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Timestamp::Create(millis);
        self
    }

    /// Appends the record.
    ///
    /// # Panics
    /// When the value cannot be encoded or there is no such partition.
    #[track_caller]
    pub fn push(self, value: V) {
        let payload = self.topic.encoded(&value);
        self.push_raw(Some(&payload));
    }

    /// Appends the record with these bytes; `None` is a tombstone.
    ///
    /// # Panics
    /// When there is no such partition.
    #[track_caller]
    pub fn push_raw(self, payload: Option<&[u8]>) {
        self.topic.append(
            self.key,
            payload.map(<[u8]>::to_vec),
            self.headers,
            self.partition,
            self.timestamp,
        );
    }
}
