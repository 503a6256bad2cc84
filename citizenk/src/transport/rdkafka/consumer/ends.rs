//! Signs of life: whether the client still delivers, and where partitions end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::bindings as rd;

use super::super::client::{Client, Mail};
use super::super::conf::millis;
use super::super::error;
use super::super::list::{self, List};
use super::control::Core;
use crate::record::TopicPartition;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How far a knock goes back: behind the last record may stand marks of transactions, which are never
/// delivered.
const BACK: i64 = 10;

impl Core {
    pub(super) fn knock_at(&mut self, partition: &TopicPartition, next: i64, anew: bool) {
        let Some(slot) = self.slots.get_mut(partition) else {
            return;
        };
        slot.staged.clear();
        slot.next = next;
        slot.echo = false;
        slot.seeking = false;
        if slot.assigning || slot.paused {
            return;
        }
        self.seeks.retain(|(other, ..)| other != partition);
        if anew {
            if let Some(slot) = self.slots.get_mut(partition) {
                slot.seen = false;
            }
            if let Err(error) = self.restart(partition) {
                tracing::warn!(%partition, %error, "cannot begin fetching anew");
                return;
            }
        }
        // What stands before `next` is dropped when it comes.
        let back = (next - BACK).max(0);
        self.seek_now(&[(partition.clone(), back)]);
    }
}

/// Asks on a thread of its own, because the question blocks; one at a time.
pub(super) fn ask(client: &Arc<Client>, partitions: &[TopicPartition], asking: &Arc<AtomicBool>) {
    if partitions.is_empty() || asking.swap(true, Ordering::AcqRel) {
        return;
    }
    let (client, done, partitions) = (client.clone(), asking.clone(), partitions.to_vec());
    let asked = std::thread::Builder::new()
        .name("ck-ends".to_owned())
        .spawn(move || {
            let ends = query(&client, &partitions);
            done.store(false, Ordering::Release);
            client.hooks().post(Mail::Ends(ends));
        });
    if let Err(error) = asked {
        asking.store(false, Ordering::Release);
        tracing::warn!(%error, "cannot ask for the ends of partitions");
    }
}

/// Those the brokers answered; one request per broker.
fn query(client: &Client, partitions: &[TopicPartition]) -> Vec<(TopicPartition, i64)> {
    let mut list = List::with_capacity(partitions.len());
    for partition in partitions {
        // "By time" with the logical time of the end.
        list.add(partition, i64::from(rd::RD_KAFKA_OFFSET_END));
    }
    // SAFETY: client and list are alive.
    let code =
        unsafe { rd::rd_kafka_offsets_for_times(client.rk(), list.as_ptr(), millis(TIMEOUT)) };
    if code != error::OK {
        tracing::debug!(?code, "no answer about the ends of partitions");
    }
    // SAFETY: the list is alive and does not change any more.
    let entries = unsafe { list::entries(list.as_ptr()) };
    entries
        .iter()
        .zip(partitions)
        .filter(|(entry, _)| entry.err == error::OK && entry.offset >= 0)
        .map(|(entry, partition)| (partition.clone(), entry.offset))
        .collect()
}
