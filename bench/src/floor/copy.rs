//! Copying by hand: bytes, headers, partition and timestamp as they came; offsets are committed when every
//! record is acknowledged.

use super::Result;
use super::consume::Consumer;
use super::produce::Producer;
use crate::contest::Run;
use crate::counts::Counts;

pub(crate) fn copy(run: &Run, counts: &Counts) -> Result<()> {
    let mut consumer = Consumer::subscribe(run)?;
    let producer = Producer::new(&run.servers)?;
    let sent = producer.run(&run.output, |lane| {
        while !counts.is_done() {
            consumer.batch(|record| {
                lane.forward(record)?;
                counts.count();
                Ok(())
            })?;
        }
        Ok(())
    })?;
    if sent < counts.target() {
        return Err(format!("{sent} copies of {} records", counts.target()).into());
    }
    consumer.commit_and_leave()
}
