//! Where partitions begin and end, and which record is the first of a time.

use std::ffi::c_char;
use std::time::{Duration, Instant};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_IsolationLevel_t as Isolation;
use rdkafka::bindings::rd_kafka_admin_op_t as Operation;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::client::Client;
use super::conf::millis;
use super::error;
use super::list::List;
use crate::transport::{Spot, TransportError};

/// The answer is waited for this much longer than the broker has, so that its own error arrives.
const GRACE: Duration = Duration::from_millis(500);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// One request per broker that leads a partition; waits for all answers. Who does not lead it, as while a topic is
/// being made or its leader moves, is asked again for as long as `timeout`.
pub(super) fn ask(
    client: &Client,
    topic: &str,
    partitions: &[i32],
    at: Spot,
    committed_only: bool,
    timeout: Duration,
) -> Result<Vec<Option<i64>>, TransportError> {
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match once(client, topic, partitions, at, committed_only, left) {
            Err(error) if error.retriable && left > 2 * PAUSE => {
                tracing::debug!(%error, "asking again");
                std::thread::park_timeout(PAUSE);
            }
            answer => return answer,
        }
    }
}

fn once(
    client: &Client,
    topic: &str,
    partitions: &[i32],
    at: Spot,
    committed_only: bool,
    timeout: Duration,
) -> Result<Vec<Option<i64>>, TransportError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let context = || format!("asking for offsets of `{topic}`");
    let at = match at {
        Spot::Beginning => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
        Spot::End => i64::from(rd::RD_KAFKA_OFFSET_END),
        // Negative numbers are names; nothing is older than 1970.
        Spot::Time(time) => time.max(0),
    };
    let isolation = if committed_only {
        Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
    } else {
        Isolation::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED
    };
    let mut list = List::with_capacity(partitions.len());
    for partition in partitions {
        list.add_named(topic, *partition, at);
    }
    let mut buffer = [0 as c_char; 512];
    // SAFETY: the client is alive; the list is copied by the request; options, queue and event are
    // destroyed once, after their last use; a returned error is taken.
    unsafe {
        let options =
            rd::rd_kafka_AdminOptions_new(client.rk(), Operation::RD_KAFKA_ADMIN_OP_LISTOFFSETS);
        let limited = rd::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis(timeout),
            buffer.as_mut_ptr(),
            buffer.len(),
        );
        let isolated = error::take(
            rd::rd_kafka_AdminOptions_set_isolation_level(options, isolation),
            context,
        );
        let refused = error::check(limited, context).and(isolated.map_err(|(_, error)| error));
        if let Err(error) = refused {
            rd::rd_kafka_AdminOptions_destroy(options);
            return Err(error);
        }
        let queue = rd::rd_kafka_queue_new(client.rk());
        rd::rd_kafka_ListOffsets(client.rk(), list.as_ptr(), options, queue);
        let event = rd::rd_kafka_queue_poll(queue, millis(timeout + GRACE));
        let answer = if event.is_null() {
            Err(error::error(context(), Code::RD_KAFKA_RESP_ERR__TIMED_OUT))
        } else {
            let answer = read(event, topic, partitions);
            rd::rd_kafka_event_destroy(event);
            answer
        };
        rd::rd_kafka_queue_destroy(queue);
        rd::rd_kafka_AdminOptions_destroy(options);
        answer
    }
}

/// # Safety
/// The event is alive.
unsafe fn read(
    event: *mut rd::rd_kafka_event_t,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<Option<i64>>, TransportError> {
    let context = || format!("asking for offsets of `{topic}`");
    // SAFETY: the event is alive by the caller's promise, and all that is read belongs to it; the infos
    // are `count` pointers.
    let infos = unsafe {
        let code = rd::rd_kafka_event_error(event);
        if code != error::OK {
            let text = error::text(rd::rd_kafka_event_error_string(event));
            return Err(error::with_message(context(), code, text));
        }
        let result = rd::rd_kafka_event_ListOffsets_result(event);
        if result.is_null() {
            return Err(error::error(context(), Code::RD_KAFKA_RESP_ERR__FAIL));
        }
        let mut count = 0;
        let infos = rd::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        if infos.is_null() || count == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(infos, count)
        }
    };
    let mut offsets = vec![None; partitions.len()];
    let mut answered = 0;
    for info in infos {
        // SAFETY: each info belongs to the living event.
        let found = unsafe { &*rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info) };
        error::check(found.err, || {
            format!("asking for the offsets of {topic}/{}", found.partition)
        })?;
        let place = partitions.iter().position(|id| *id == found.partition);
        if let Some(offset) = place.and_then(|place| offsets.get_mut(place)) {
            *offset = Some(found.offset).filter(|offset| *offset >= 0);
            answered += 1;
        }
    }
    if answered < partitions.len() {
        let message = format!(
            "{answered} of {} partitions were answered",
            partitions.len()
        );
        let code = Code::RD_KAFKA_RESP_ERR__PARTIAL;
        return Err(error::with_message(context(), code, message));
    }
    Ok(offsets)
}
