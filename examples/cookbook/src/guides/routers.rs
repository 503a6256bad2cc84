//! `docs/routers.md`.

// [topic]
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use citizenk::prelude::*;

/// A video of a camera.
#[citizenk::message]
pub struct Video {
    /// Whose it is.
    pub camera_id: u32,
}

/// All videos, by camera.
pub const VIDEOS: Topic<Video, u32> = Topic::json("videos");

/// Videos per camera, of the cameras whose partitions this worker has.
#[derive(Clone, Default)]
pub struct Counts(Arc<Mutex<BTreeMap<u32, u64>>>);

impl Counts {
    fn all(&self) -> BTreeMap<u32, u64> {
        self.0
            .lock()
            .map(|counts| counts.clone())
            .unwrap_or_default()
    }
}

/// Counts videos.
#[citizenk::agent(topics = [VIDEOS])]
pub async fn count(video: Event<Video>, State(counts): State<Counts>) {
    if let Ok(mut counts) = counts.0.lock() {
        *counts.entry(video.value.camera_id).or_default() += 1;
    }
}

/// How many videos a camera sent. Answered by the worker that counts them.
#[citizenk::topic_router(topic = VIDEOS, key = "camera_id", get = "/cameras/{camera_id}")]
pub async fn camera(
    Path(camera_id): Path<u32>,
    State(counts): State<Counts>,
) -> Result<Json<u64>, Problem> {
    let count = counts.all().get(&camera_id).copied();
    count
        .map(Json)
        .ok_or_else(|| Problem::not_found("a camera without videos"))
}
// [/topic]

// [broadcast]
/// How many videos every camera sent: the parts of all workers, as one.
#[citizenk::broadcast_router(get = "/cameras")]
pub async fn cameras(State(counts): State<Counts>) -> Json<BTreeMap<u32, u64>> {
    Json(counts.all())
}
// [/broadcast]

#[cfg(test)]
mod tests {
    use super::*;
    use citizenk::testing::{TestApp, block_on};

    fn app() -> App {
        App::new("cameras")
            .state(Counts::default())
            .register::<count>()
            .register::<camera>()
            .register::<cameras>()
    }

    #[test]
    fn each_worker_answers_for_all() {
        // [test]
        block_on(async {
            let app = TestApp::new(app).workers(3).start().await?;
            app.topic(&VIDEOS).push(&7, Video { camera_id: 7 });
            app.topic(&VIDEOS).push(&8, Video { camera_id: 8 });
            app.settle().await;
            for worker in 0..3 {
                let camera = app.request_to(worker, "GET", "/cameras/7", &[], None).await;
                assert_eq!(camera.body, "1");
                let all = app.request_to(worker, "GET", "/cameras", &[], None).await;
                assert_eq!(all.body, r#"{"7":1,"8":1}"#);
            }
            app.stop().await
        })
        .unwrap();
        // [/test]
    }
}
