//! An agent on citizenk's in-memory transport: no broker, no socket, one thread. For callgrind.

use std::error::Error;
use std::hint::black_box;

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

use super::ours::{READINGS, count};
use crate::cost::Part;
use crate::counts::Counts;
use crate::reading::Reading;

/// As many records lie on the log before they are read.
const LOT: u64 = 2000;

pub(crate) fn run(part: Part, records: u64, bytes: usize) -> Result<(), Box<dyn Error>> {
    let counts = Counts::new(records);
    if part == Part::Decode {
        let json = serde_json::to_vec(&Reading::nth(0, bytes))?;
        for _ in 0..records {
            black_box(serde_json::from_slice::<Reading>(black_box(&json))?);
            counts.count();
        }
        return Ok(());
    }
    block_on(async {
        let app = App::new("bench").state(counts.clone()).register::<count>();
        let app = TestApp::new(app).partitions(&READINGS, 4).start().await?;
        let json = serde_json::to_vec(&Reading::nth(0, bytes))?;
        for sequence in 0..records {
            let key = Reading::sensor_of(sequence).to_be_bytes();
            app.topic(&READINGS).push_raw(Some(&key), &json);
            if part == Part::Ours && sequence % LOT == LOT - 1 {
                app.settle().await;
            }
        }
        if part == Part::Ours {
            app.settle().await;
            counts.milestones()?;
        }
        app.stop().await?;
        Ok(())
    })
}
