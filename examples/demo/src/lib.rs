//! Videos of cameras on their way through three topics.
//!
//! ```text
//! generator ─▶ B ─process_videos─▶ C ─select_valid─▶ D
//!                  (every video)       (odd cameras)
//! ```
//!
//! `cargo run --release -p demo` needs nothing else: without `KAFKA_BOOTSTRAP_SERVERS` it runs on the
//! embedded broker. `APP_RATE=1000` sets the videos per second, `APP_RATE=0` leaves only what is sent
//! from outside.

mod api;
mod counts;
mod hooks;
mod pipeline;
mod traffic;

use citizenk::prelude::*;

pub use api::{Accepted, Names};
pub use counts::{Counts, Snapshot};
pub use traffic::Traffic;

/// A video as a camera sends it.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// The camera.
    pub camera_id: u32,
    /// Where the video is stored.
    pub path: String,
    /// When it was taken.
    pub timestamp: DateTime<Utc>,
}

/// A video that was looked at.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessedVideo {
    /// The camera.
    pub camera_id: u32,
    /// Where the video is stored.
    pub path: String,
    /// When it was taken.
    pub timestamp: DateTime<Utc>,
    /// Whether it can be used; only cameras with odd numbers are.
    pub valid: bool,
}

impl From<Video> for ProcessedVideo {
    fn from(video: Video) -> Self {
        Self {
            camera_id: video.camera_id,
            path: video.path,
            timestamp: video.timestamp,
            valid: video.camera_id % 2 == 1,
        }
    }
}

/// Videos as they arrive.
pub const VIDEOS: Topic<Video, u32> = Topic::json("B");
/// All videos, processed.
pub const PROCESSED: Topic<ProcessedVideo, u32> = Topic::json("C");
/// The valid ones.
pub const VALID: Topic<ProcessedVideo, u32> =
    Topic::json("D").direction(citizenk::Direction::Output);

/// The whole service; `main` runs it, tests run it without a broker.
#[must_use]
pub fn app() -> App {
    App::new("citizenk-demo")
        .title("CitizenK Demo App")
        .version(env!("CARGO_PKG_VERSION"))
        .license(
            "Apache 2.0",
            "https://www.apache.org/licenses/LICENSE-2.0.html",
        )
        .description("Videos of cameras on their way through the topics B, C and D.")
        .state(Counts::default())
        .state_with(async |cx| Traffic::from_settings(&cx.settings()?))
        .register::<pipeline::process_videos>()
        .register::<pipeline::select_valid>()
        .register::<api::produce_video_events>()
        .register::<api::source_topics>()
        .register::<api::counts>()
        .register::<api::live>()
        .register::<traffic::generate>()
        .register::<traffic::progress>()
        .register::<hooks::started>()
        .register::<hooks::assigned>()
        .register::<hooks::stopped>()
        .embedded_by_default()
}
