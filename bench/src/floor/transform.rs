//! Reading, converting and writing by hand; offsets are committed when every output is acknowledged.

use super::Result;
use super::consume::Consumer;
use super::produce::Producer;
use crate::contest::Run;
use crate::counts::Counts;
use crate::reading::{Converted, Reading};

const ANY: i32 = -1;

pub(crate) fn transform(run: &Run, counts: &Counts) -> Result<()> {
    let mut consumer = Consumer::subscribe(run)?;
    let producer = Producer::new(&run.servers)?;
    let sent = producer.run(&run.output, |lane| {
        let mut value = Vec::new();
        while !counts.is_done() {
            consumer.batch(|record| {
                let converted = Converted::from(serde_json::from_slice::<Reading>(record.value)?);
                value.clear();
                serde_json::to_writer(&mut value, &converted)?;
                lane.send(ANY, record.key, &value)?;
                counts.count();
                Ok(())
            })?;
        }
        Ok(())
    })?;
    if sent < counts.target() {
        return Err(format!("{sent} outputs for {} records", counts.target()).into());
    }
    consumer.commit_and_leave()
}
