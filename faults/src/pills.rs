//! Records that nobody can decode.
//!
//! In: a topic, and which partition. Out: each pill with the place it was acknowledged at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use xtask::failure::{Failure, OrFail, Result};

use crate::dice::Dice;
use crate::history::{Id, Place};
use crate::load::{FILLER, Item};
use crate::observe::Source;

const FLUSH: Duration = Duration::from_secs(60);
const KEY: &str = "pill";
/// Deeper than a parser goes.
const DEPTH: usize = 5000;

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Pill {
    pub(crate) place: Place,
    /// `None`: a tombstone, which is passed over by who does not admit it.
    pub(crate) payload: Option<Vec<u8>>,
    /// When it was written, in milliseconds since 1970.
    pub(crate) time: i64,
}

impl Pill {
    pub(crate) fn key() -> &'static [u8] {
        KEY.as_bytes()
    }
}

/// Bytes that are no item: random ones, half a text, deep nesting, what is not UTF-8, a number too large, a field
/// of another type; or none at all.
pub(crate) fn poison(dice: &mut Dice) -> Option<Vec<u8>> {
    let id = Id {
        producer: 1000,
        seq: dice.next(),
    };
    let whole = serde_json::to_string(&Item::new(id, 1, 10)).unwrap_or_default();
    let bytes = match dice.below(7) {
        0 => (0..1 + dice.below(100))
            .map(|_| dice.next() as u8 | 0x80)
            .collect(),
        1 => whole.as_bytes()[..1 + dice.below(whole.len() - 1)].to_vec(),
        2 => b"{\"x\":".repeat(DEPTH),
        3 => {
            let mut bytes = whole.into_bytes();
            let padding = bytes.iter().position(|byte| *byte == FILLER);
            bytes[padding.unwrap_or(0)] = 0xff;
            bytes
        }
        4 => whole.replace("\"key\":1", "\"key\":1e999").into_bytes(),
        5 => whole
            .replace("\"padding\":\"", "\"padding\":7,\"x\":\"")
            .into_bytes(),
        _ => return None,
    };
    Some(bytes)
}

#[derive(Debug, Default)]
struct Sent(Mutex<Vec<Pill>>);

struct Delivered(Arc<Sent>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            let pill = Pill {
                place: Place::new(message.partition(), message.offset()),
                payload: message.payload().map(<[u8]>::to_vec),
                time: message.timestamp().to_millis().unwrap_or(0),
            };
            self.0
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(pill);
        }
    }
}

/// Writes pills.
pub(crate) struct Pills {
    producer: ThreadedProducer<Delivered>,
    sent: Arc<Sent>,
    topic: String,
    count: usize,
}

impl Pills {
    pub(crate) fn start(to: &Source) -> Result<Self> {
        let sent = Arc::new(Sent::default());
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &to.servers)
            .set("enable.idempotence", "true")
            .set("log_level", "3")
            .create_with_context(Delivered(sent.clone()))
            .or_fail(|| "start a producer of pills".into())?;
        Ok(Self {
            producer,
            sent,
            topic: to.topic.clone(),
            count: 0,
        })
    }

    pub(crate) fn send(&mut self, partition: i32, payload: Option<&[u8]>) -> Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // Written a while ago: no clock of this run says the same by chance.
        let time = i64::try_from(now.as_millis()).unwrap_or(0) - 60_000;
        let mut record = BaseRecord::<str, [u8], ()>::with_opaque_to(&self.topic, ())
            .key(KEY)
            .partition(partition)
            .timestamp(time);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        self.count += 1;
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .or_fail(|| "send a pill".into())
    }

    /// Waits until all are acknowledged.
    pub(crate) fn all(&self) -> Result<Vec<Pill>> {
        self.producer
            .flush(FLUSH)
            .or_fail(|| "flush pills".into())?;
        let sent = self.sent.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() < self.count {
            return Err(Failure::new(format!(
                "only {} of {} pills were acknowledged",
                sent.len(),
                self.count
            )));
        }
        Ok(sent.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_decode_a_pill() {
        let mut dice = Dice::new(1);
        for _ in 0..1000 {
            if let Some(bytes) = poison(&mut dice) {
                assert!(serde_json::from_slice::<Item>(&bytes).is_err(), "{bytes:?}");
            }
        }
    }
}
