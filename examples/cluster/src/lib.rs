//! Workers of one service behind a load balancer.
//!
//! ```text
//! client ─▶ balancer ─▶ any worker ─┬─ it has the key ───────▶ answer
//!                                   ├─ another worker has it ─▶ that worker ─▶ answer
//!                                   └─ for all ───────────────▶ every worker ─▶ one answer
//! ```
//!
//! `cargo run -p cluster -- 3` starts three on the Kafka of `KAFKA_BOOTSTRAP_SERVERS`.

pub mod balancer;
pub mod fleet;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use citizenk::prelude::*;

/// A video of a camera.
#[citizenk::message]
#[derive(Clone, Debug)]
pub struct Video {
    /// Whose it is.
    pub camera_id: u32,
}

/// All videos, by camera.
pub const VIDEOS: Topic<Video, u32> = Topic::json("videos").partitions(12);

/// Videos per camera, of the cameras whose partitions this worker has.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<u32, u64>>>);

impl Counts {
    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<u32, u64>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is known of a camera, and who says so.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Its number.
    pub camera: u32,
    /// How many videos it sent to this worker.
    pub videos: u64,
    /// The worker's address.
    pub worker: String,
}

/// Counts videos.
#[citizenk::agent(topics = [VIDEOS])]
async fn count(video: Event<Video>, State(counts): State<Counts>) {
    counts.with(|counts| *counts.entry(video.value.camera_id).or_default() += 1);
}

/// How many videos a camera sent. Answered by the worker that counts them.
#[citizenk::topic_router(topic = VIDEOS, key = "camera_id", get = "/cameras/{camera_id}")]
async fn camera(
    Path(camera_id): Path<u32>,
    app: AppInfo,
    State(counts): State<Counts>,
) -> Json<Camera> {
    Json(Camera {
        camera: camera_id,
        videos: counts.with(|counts| counts.get(&camera_id).copied().unwrap_or(0)),
        worker: app.base_url().unwrap_or_default().to_owned(),
    })
}

/// How many videos every camera sent: the parts of all workers, as one.
#[citizenk::broadcast_router(get = "/cameras")]
async fn cameras(State(counts): State<Counts>) -> Json<BTreeMap<u32, u64>> {
    Json(counts.with(|counts| counts.clone()))
}

/// The service each worker runs.
#[must_use]
pub fn app() -> App {
    App::new("cluster")
        .title("Cluster")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Videos per camera, counted by many workers.")
        .state(Counts::default())
        .register::<count>()
        .register::<camera>()
        .register::<cameras>()
}
