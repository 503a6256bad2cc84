//! The records that go in, and which of them the brokers have acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use xtask::failure::{OrFail, Result};

use crate::dice::Dice;
use crate::history::{Id, Input, Place};

/// What records are padded with: proxies find these bytes when they are to damage a record.
pub(crate) const FILLER: u8 = b'x';
/// What records have if nothing else is wanted.
pub(crate) const PADDING: usize = 100;
const TICK: Duration = Duration::from_millis(10);
const FLUSH: Duration = Duration::from_secs(60);

/// A record of the input topic, as JSON.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) producer: u32,
    pub(crate) seq: u64,
    pub(crate) key: u32,
    pub(crate) crc: u32,
    pub(crate) padding: String,
}

impl Item {
    pub(crate) fn new(id: Id, key: u32, padding: usize) -> Self {
        let mut item = Self {
            producer: id.producer,
            seq: id.seq,
            key,
            crc: 0,
            padding: char::from(FILLER).to_string().repeat(padding),
        };
        item.crc = item.sum();
        item
    }

    fn sum(&self) -> u32 {
        let text = format!(
            "{} {} {} {}",
            self.producer, self.seq, self.key, self.padding
        );
        crc32fast::hash(text.as_bytes())
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.crc == self.sum()
    }

    pub(crate) fn id(&self) -> Id {
        Id {
            producer: self.producer,
            seq: self.seq,
        }
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) keys: usize,
    /// Per second.
    pub(crate) rate: u64,
    pub(crate) producer: u32,
    /// Bytes that make a record longer.
    pub(crate) padding: usize,
}

#[derive(Debug, Default)]
struct Shared {
    sent: Mutex<Vec<Input>>,
    refused: AtomicUsize,
}

struct Delivered(Arc<Shared>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<(Id, u32)>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Self::DeliveryOpaque) {
        let (id, key) = *sent;
        match result {
            Ok(message) => lock(&self.0.sent).push(Input {
                place: Place::new(message.partition(), message.offset()),
                id,
                key,
            }),
            // It may stand in the topic or not: nothing was promised.
            Err(_) => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A producer at work, until it is finished.
#[derive(Debug)]
pub(crate) struct Load {
    shared: Arc<Shared>,
    padding: usize,
    stop: Option<mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Load {
    pub(crate) fn start(servers: &str, plan: Plan, mut dice: Dice) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let producer: ThreadedProducer<Delivered> = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("message.timeout.ms", "30000")
            .set("log_level", "3")
            .create_with_context(Delivered(shared.clone()))
            .or_fail(|| "start the load".into())?;
        let (stop, stopped) = mpsc::sync_channel(1);
        let padding = plan.padding;
        let thread = std::thread::spawn(move || {
            let begun = Instant::now();
            let mut seq = 0;
            // The pause ends at once when the load is to stop.
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let due =
                    u64::try_from(begun.elapsed().as_millis()).unwrap_or(0) * plan.rate / 1000;
                while seq < due {
                    let id = Id {
                        producer: plan.producer,
                        seq,
                    };
                    if !send(&producer, &plan, id, dice.below(plan.keys))? {
                        break;
                    }
                    seq += 1;
                }
            }
            producer.flush(FLUSH).or_fail(|| "flush the load".into())
        });
        Ok(Self {
            shared,
            padding,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What was acknowledged so far.
    pub(crate) fn sent(&self) -> Vec<Input> {
        lock(&self.shared.sent).clone()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        lock(&self.shared.sent).len()
    }

    /// The bytes of these, without what every record has.
    pub(crate) fn acknowledged_bytes(&self) -> u64 {
        (self.acknowledged() * self.padding) as u64
    }

    /// Stops and waits until every record is acknowledged or refused; answers the number of refused ones.
    pub(crate) fn finish(&mut self) -> Result<usize> {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_| xtask::failure::Failure::new("the load panicked"))??;
        }
        Ok(self.shared.refused.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // A row that failed does not wait; the thread ends by itself within its time for a flush.
        self.stop = None;
    }
}

/// Whether there was room for it.
fn send(producer: &ThreadedProducer<Delivered>, plan: &Plan, id: Id, key: usize) -> Result<bool> {
    let number = u32::try_from(key).unwrap_or(0);
    let value = serde_json::to_vec(&Item::new(id, number, plan.padding))
        .or_fail(|| "write a record".into())?;
    let name = number.to_string();
    let partition = i32::try_from(key).unwrap_or(0) % plan.partitions;
    let record = BaseRecord::with_opaque_to(&plan.topic, Box::new((id, number)))
        .key(&name)
        .payload(&value)
        .partition(partition);
    match producer.send(record) {
        Ok(()) => Ok(true),
        Err((KafkaError::MessageProduction(rdkafka::types::RDKafkaErrorCode::QueueFull), _)) => {
            Ok(false)
        }
        Err((error, _)) => Err(error).or_fail(|| format!("send to {}", plan.topic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_item_is_known() {
        let mut item = Item::new(
            Id {
                producer: 1,
                seq: 2,
            },
            3,
            10,
        );
        assert!(item.is_whole());
        item.padding.replace_range(0..1, "y");
        assert!(!item.is_whole());
    }
}
