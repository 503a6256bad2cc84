//! A generator of videos, and what it does to the console.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use citizenk::ProduceError;
use citizenk::prelude::*;

use crate::api::send_all;
use crate::{Counts, Snapshot, VIDEOS, Video};

/// The embedded broker keeps 100,000 messages or 5 MiB per partition; at this rate a consumer may be
/// some seconds late before it misses one.
const MAX_RATE: u32 = 10_000;
const CAMERAS: u32 = 10;
const TICKS_PER_SECOND: u32 = 10;
const MAX_UNANSWERED: usize = 50;

/// How much the generator makes: `[app] rate` or `APP_RATE`.
#[derive(Clone, Debug)]
pub struct Traffic {
    per_second: u32,
    made: Arc<AtomicU64>,
}

#[citizenk::message]
pub(crate) struct Settings {
    #[serde(default = "usual_rate")]
    rate: u32,
}

fn usual_rate() -> u32 {
    200
}

impl Traffic {
    /// So many videos per second; 0 makes none.
    #[must_use]
    pub fn per_second(rate: u32) -> Self {
        Self {
            per_second: rate,
            made: Arc::default(),
        }
    }

    pub(crate) fn from_settings(settings: &Settings) -> citizenk::Result<Self> {
        let rate = settings.rate;
        if rate > MAX_RATE {
            let reason = format!("APP_RATE: at most {MAX_RATE} videos per second, not {rate}");
            return Err(AgentError::new(reason));
        }
        Ok(Self::per_second(rate))
    }

    /// The videos of the next tick.
    fn tick(&self) -> impl Iterator<Item = Video> + use<> {
        let tick = self.made.fetch_add(1, Ordering::Relaxed);
        let (rate, ticks) = (u64::from(self.per_second), u64::from(TICKS_PER_SECOND));
        // Rates that are no multiple of the ticks: the remainder is spread over them.
        let numbers = (tick * rate / ticks)..((tick + 1) * rate / ticks);
        let timestamp = Utc::now();
        numbers.map(move |number| {
            let camera_id = (number % u64::from(CAMERAS)) as u32;
            Video {
                camera_id,
                path: format!("/videos/{camera_id}/{number}.mp4"),
                timestamp,
            }
        })
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the generator sends {} videos per second",
            self.per_second
        )
    }
}

/// Sends videos to B, so that there is something to see.
#[citizenk::repeat_every("100ms")]
pub(crate) async fn generate(
    State(traffic): State<Traffic>,
    State(counts): State<Counts>,
    producer: Producer,
    background: Background,
) {
    // A broker that does not answer gets no more until it does.
    if background.running() > MAX_UNANSWERED {
        return;
    }
    let sent = send_all(&producer, &VIDEOS, traffic.tick());
    background.spawn("traffic", async move {
        counts.generated(sent.await? as u64);
        Ok::<_, ProduceError>(())
    });
}

/// Shows on the console that messages move.
#[citizenk::repeat_every("1s", wait_first = true)]
pub(crate) async fn progress(State(counts): State<Counts>) {
    let Snapshot {
        generated,
        processed,
        valid,
        ..
    } = counts.snapshot();
    println!("generated {generated}  processed B→C {processed}  valid C→D {valid}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_makes_the_rate() {
        for rate in [0, 1, 7, 200, 1003] {
            let traffic = Traffic::per_second(rate);
            let videos: u32 = (0..TICKS_PER_SECOND)
                .map(|_| traffic.tick().count() as u32)
                .sum();
            assert_eq!(videos, rate);
        }
    }

    #[test]
    fn a_rate_beyond_the_embedded_brokers_memory_is_refused() {
        let error = Traffic::from_settings(&Settings { rate: 1_000_000 }).unwrap_err();
        assert!(error.to_string().contains("at most 10000"), "{error}");
    }
}
