//! Sending outside an attempt.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{Call, Extract, Mode, PrepareContext};
use crate::error::TransportError;
use crate::error::{AgentError, BuildIssue, EncodeError};
use crate::schema::{Schemas, Side};
use crate::staging::{Outcome, OutputTopic, Receipt, RecordWriter, StagedBatch};
use crate::telemetry;
use crate::topic::{Partitioner, Topic, TopicId};

/// Where an acknowledged record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The partition's number.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// Why a record was not sent, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The key or value has no form in the topic's format.
    #[error("topic `{topic}`: {source}")]
    Encode {
        /// The topic sent to.
        topic: String,
        /// What the codec says.
        source: EncodeError,
    },
    /// The topic is read only.
    #[error("topic `{topic}` is declared for input only")]
    InputOnly {
        /// The topic sent to.
        topic: String,
    },
    /// The broker did not take it.
    #[error("topic `{topic}`: {source}")]
    Delivery {
        /// The topic sent to.
        topic: String,
        /// What the client says.
        source: TransportError,
    },
    /// The service has stopped, or has not started.
    #[error("topic `{topic}`: the producer is not running")]
    NotRunning {
        /// The topic sent to.
        topic: String,
    },
}

pub(crate) type ProduceReply =
    Pin<Box<dyn Future<Output = Result<Vec<Sent>, ProduceError>> + Send>>;

/// One record that is on its way, or waits for room in the queue.
pub(crate) enum LoneReply {
    Under(Arc<Receipt>),
    Full(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

/// Sends staged records, all of one topic, and answers when all are acknowledged.
pub(crate) trait ProducePort: Send + Sync {
    /// Sends the only record of a batch, to the topic the program calls so. The batch may be used
    /// again.
    fn send_one(
        &self,
        topic: TopicId,
        partitioner: Partitioner,
        record: &mut StagedBatch,
    ) -> Result<LoneReply, ProduceError>;
    /// `topic.name` is the name in the program.
    fn send(&self, topic: OutputTopic, batch: StagedBatch) -> ProduceReply;
    /// A send to the topic failed, and nobody waited for its answer.
    fn unheard(&self, topic: TopicId, error: &ProduceError);
}

/// Sends records at once, independently of any attempt, and answers after the broker's
/// acknowledgement.
///
/// Works everywhere: handlers, timers, hooks, routes, background tasks. Outputs that belong to an input
/// record go through an [`Outbox`](crate::Outbox) instead, which keeps them with their offset.
#[derive(Clone)]
pub struct Producer {
    port: Arc<dyn ProducePort>,
    schemas: Schemas,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Producer")
    }
}

impl Producer {
    pub(crate) fn new(port: Arc<dyn ProducePort>, schemas: Schemas) -> Self {
        Self { port, schemas }
    }

    /// Sends a record and waits for the broker's acknowledgement.
    ///
    /// Awaiting records one by one costs a round trip and the linger time each; to send many, start
    /// all and await them together.
    ///
    /// # Errors
    /// [`ProduceError`]; after a delivery error the record may or may not have arrived.
    pub fn send<V, K>(&self, topic: &Topic<V, K>, key: &K, value: V) -> Sending {
        self.record(topic).key(key).send(value)
    }

    /// Sends a tombstone.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn tombstone<V, K>(&self, topic: &Topic<V, K>, key: &K) -> Sending {
        self.record(topic).key(key).tombstone()
    }

    /// Starts a record with headers, a partition or a timestamp of its own.
    #[must_use = "nothing is sent before `send` or `tombstone`"]
    pub fn record<'a, V, K>(&'a self, topic: &'a Topic<V, K>) -> ProducerRecord<'a, V, K> {
        ProducerRecord {
            producer: self,
            topic,
            key: None,
            headers: Vec::new(),
            partition: None,
            timestamp: None,
        }
    }

    /// Sends encoded records of one topic.
    pub(crate) fn send_staged(&self, topic: OutputTopic, batch: StagedBatch) -> ProduceReply {
        self.port.send(topic, batch)
    }
}

/// A record being sent; see [`Producer::record`].
#[must_use = "nothing is sent before `send` or `tombstone`"]
pub struct ProducerRecord<'a, V, K> {
    producer: &'a Producer,
    topic: &'a Topic<V, K>,
    key: Option<&'a K>,
    headers: Vec<(&'a str, &'a [u8])>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

impl<V, K> fmt::Debug for ProducerRecord<'_, V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProducerRecord({})", self.topic.name)
    }
}

impl<'a, V, K> ProducerRecord<'a, V, K> {
    /// The record's key.
    pub fn key(mut self, key: &'a K) -> Self {
        self.key = Some(key);
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

    /// Sends the record; see [`Producer::send`].
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn send(self, value: V) -> Sending {
        self.stage(Some(&value))
    }

    /// Sends a record without value.
    ///
    /// # Errors
    /// As [`Producer::send`].
    pub fn tombstone(self) -> Sending {
        self.stage(None)
    }

    fn stage(self, value: Option<&V>) -> Sending {
        let topic = self.topic.id();
        let producer = self.producer;
        // Taken out and not borrowed: encoding is the program's code, and may send, too.
        let kept = SCRATCH.try_with(Cell::take).ok().flatten();
        let mut scratch = kept.unwrap_or_default();
        let reply = self.stage_into(&mut scratch, value);
        scratch.clear();
        if scratch.capacity() <= MAX_SCRATCH {
            // A thread that ends needs it no more.
            let _ = SCRATCH.try_with(|cell| cell.set(Some(scratch)));
        }
        let state = match reply {
            Ok(LoneReply::Under(receipt)) => SendState::Under(receipt),
            Ok(LoneReply::Full(sending)) => SendState::Full(sending),
            Err(error) => SendState::Failed(Box::new((error, producer.port.clone()))),
        };
        Sending { topic, state }
    }

    fn stage_into(
        self,
        batch: &mut StagedBatch,
        value: Option<&V>,
    ) -> Result<LoneReply, ProduceError> {
        let (topic, schemas) = (self.topic, &self.producer.schemas);
        let encode = topic.encode.ok_or_else(|| ProduceError::InputOnly {
            topic: topic.id().to_string(),
        })?;
        {
            let mut writer = batch.record(0);
            let wrap = |source| ProduceError::Encode {
                topic: topic.id().to_string(),
                source,
            };
            if let Some(key) = self.key {
                writer
                    .key_with(|out| topic.encode_key(key, out, schemas))
                    .map_err(wrap)?;
            }
            for (name, value) in &self.headers {
                writer.header(name, Some(value));
            }
            trace_headers(&self.headers, &mut writer);
            writer.partition(self.partition).timestamp(self.timestamp);
            match value {
                Some(value) => writer
                    .finish_with(|out| {
                        encode.call(value, out, || schemas.wire(&topic.side(Side::Value)))
                    })
                    .map_err(wrap)?,
                None => writer.finish(None),
            }
        }
        let port = &self.producer.port;
        port.send_one(topic.id(), topic.partitioner, batch)
    }
}

/// Adds the current trace, unless the record has one of its own.
pub(super) fn trace_headers(own: &[(&str, &[u8])], writer: &mut RecordWriter<'_>) {
    telemetry::trace::inject(|name, value| {
        if own.iter().all(|(given, _)| *given != name) {
            writer.header(name, Some(value.as_bytes()));
        }
    });
}

/// Larger buffers are not kept.
const MAX_SCRATCH: usize = 256 * 1024;

thread_local! {
    /// Where a record is encoded before the client copies it; empty between two calls.
    static SCRATCH: Cell<Option<Box<StagedBatch>>> = const { Cell::new(None) };
}

/// A record on its way; answers after the broker's acknowledgement. See [`Producer::send`].
///
/// It is on its way whether this is awaited or not, unless the client's queue was full: then it leaves
/// when this is awaited and there is room, and one that was sent later may overtake it. What fails after
/// this was dropped is logged as a warning and counted by the metric
/// `citizenk_producer_unawaited_errors_total`.
#[must_use = "whether the record arrived is known only to who awaits this"]
pub struct Sending {
    topic: TopicId,
    state: SendState,
}

enum SendState {
    Under(Arc<Receipt>),
    Full(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    /// With who hears of it when nobody waits.
    Failed(Box<(ProduceError, Arc<dyn ProducePort>)>),
    Over,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sending({})", self.topic)
    }
}

impl Future for Sending {
    type Output = Result<Sent, ProduceError>;

    /// # Panics
    /// When it is polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = match &mut self.state {
            SendState::Under(receipt) => ready!(receipt.poll(cx)),
            SendState::Full(sending) => ready!(sending.as_mut().poll(cx)),
            state => match std::mem::replace(state, SendState::Over) {
                SendState::Failed(failed) => return Poll::Ready(Err(failed.0)),
                _ => panic!("polled after it was ready"),
            },
        };
        self.state = SendState::Over;
        Poll::Ready(match outcome {
            Ok((partition, offset)) => Ok(Sent { partition, offset }),
            Err(source) => Err(ProduceError::Delivery {
                topic: self.topic.to_string(),
                source,
            }),
        })
    }
}

impl Drop for Sending {
    /// What is on its way is looked after by its receipt.
    fn drop(&mut self) {
        if let SendState::Failed(failed) = &self.state {
            failed.1.unheard(self.topic, &failed.0);
        }
    }
}

impl<M: Mode> Extract<M> for Producer {
    type Prepared = Self;

    fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
        Ok(cx.env.producer.clone())
    }

    fn extract(prepared: &Self, _: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(prepared.clone())
    }
}
