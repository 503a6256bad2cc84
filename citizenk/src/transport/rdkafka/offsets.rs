//! Where partitions begin and end, and which record is the first of a time.

use std::time::{Duration, Instant};

use rdkafka::bindings as rd;

use super::client::Client;
use super::conf::millis;
use super::error;
use super::list::List;
use crate::record::TopicPartition;
use crate::transport::{Spot, TransportError};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// One request per broker that leads a partition; waits for all answers. Who does not lead it, as while a topic is
/// being made or its leader moves, is asked again for as long as `timeout`. What transactions that are still open have
/// written counts for [`Spot::End`] where the client has `isolation.level=read_uncommitted`.
pub(super) fn ask(
    client: &Client,
    partitions: &[TopicPartition],
    at: Spot,
    timeout: Duration,
) -> Result<Vec<Option<i64>>, TransportError> {
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match once(client, partitions, at, left) {
            Err(error) if error.retriable && left > 2 * PAUSE => {
                tracing::debug!(%error, "asking again");
                std::thread::park_timeout(PAUSE);
            }
            answer => return answer,
        }
    }
}

fn asking(partitions: &[TopicPartition]) -> String {
    let mut topics: Vec<&str> = partitions.iter().map(|id| &*id.topic).collect();
    topics.dedup();
    match &topics[..] {
        [first, _, ..] => format!(
            "asking for offsets of `{first}` and {} other topics",
            topics.len() - 1
        ),
        topics => format!("asking for offsets of `{}`", topics.concat()),
    }
}

/// Not by `rd_kafka_ListOffsets`: its search for the leaders begins on the calling thread and goes on, on librdkafka's
/// own, with every answer about any topic. Both may then free the same request (2.12.1). This call waits for the leaders
/// by itself.
fn once(
    client: &Client,
    partitions: &[TopicPartition],
    at: Spot,
    timeout: Duration,
) -> Result<Vec<Option<i64>>, TransportError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    // To the protocol, and so to this call, these two are times as well (ListOffsets, "timestamp").
    let at = match at {
        Spot::Beginning => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
        Spot::End => i64::from(rd::RD_KAFKA_OFFSET_END),
        // Negative numbers are names; nothing is older than 1970.
        Spot::Time(time) => time.max(0),
    };
    let mut list = List::with_capacity(partitions.len());
    for partition in partitions {
        list.add(partition, at);
    }
    // SAFETY: client and list are alive; the answers are written into the list, in its order.
    let code =
        unsafe { rd::rd_kafka_offsets_for_times(client.rk(), list.as_ptr(), millis(timeout)) };
    error::check(code, || asking(partitions))?;
    let answers = list.entries().iter().zip(partitions);
    let offsets = answers.map(|(entry, id)| {
        error::check(entry.err, || format!("asking for the offsets of {id}"))?;
        Ok(Some(entry.offset).filter(|offset| *offset >= 0))
    });
    offsets.collect()
}
