//! Answering by hand: each record goes at once.

use super::Result;
use super::consume::Consumer;
use super::produce::Producer;
use crate::counts::Counts;
use crate::latency::{EchoRun, Ping};
use crate::settings::{FETCH_WAIT, LINGER, latency_fetch_wait};

const ANY: i32 = -1;

pub(crate) fn echo(run: &EchoRun, counts: &Counts) -> Result<()> {
    let fetch_wait = (FETCH_WAIT, latency_fetch_wait(run.embedded));
    let mut consumer = Consumer::new(&run.servers, &run.group, &run.topic, fetch_wait)?;
    let producer = Producer::with(&run.servers, &[(LINGER, "0")])?;
    producer.run(&run.output, |lane| {
        let mut value = Vec::new();
        while !counts.is_done() {
            consumer.batch(|record| {
                let ping = serde_json::from_slice::<Ping>(record.value)?.handled();
                value.clear();
                serde_json::to_writer(&mut value, &ping)?;
                lane.send(ANY, record.key, &value)?;
                counts.count();
                Ok(())
            })?;
        }
        Ok(())
    })?;
    consumer.commit_and_leave()
}
