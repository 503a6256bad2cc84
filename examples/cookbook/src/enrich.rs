//! Filter and enrich: a small topic is kept in memory, a large one is joined with it.

// [types]
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use citizenk::prelude::*;

/// What is known of a camera; a tombstone deletes it.
#[citizenk::message]
#[derive(Clone, Debug)]
pub struct Camera {
    /// Where it hangs.
    pub site: String,
    /// Whether anybody wants its videos.
    pub enabled: bool,
}

/// A video as a camera sends it.
#[citizenk::message]
pub struct Video {
    /// Where the video is stored.
    pub path: String,
}

/// A video and where it was taken.
#[citizenk::message]
#[derive(Debug, PartialEq)]
pub struct SiteVideo {
    /// Where the video is stored.
    pub path: String,
    /// Where it was taken.
    pub site: String,
}

/// Compacted: the last record of a key is what holds.
pub const CAMERAS: Topic<Camera, u32> = Topic::json("cameras");
/// Every video.
pub const VIDEOS: Topic<Video, u32> = Topic::json("videos");
/// The wanted ones, with their site.
pub const SITE_VIDEOS: Topic<SiteVideo, u32> = Topic::json("site-videos");
// [/types]

// [cache]
/// All cameras, on every worker.
#[derive(Clone, Debug, Default)]
pub struct Cameras(Arc<RwLock<HashMap<u32, Camera>>>);

impl Cameras {
    fn get(&self, id: u32) -> Option<Camera> {
        let cameras = self.0.read().unwrap_or_else(PoisonError::into_inner);
        cameras.get(&id).cloned()
    }

    fn set(&self, id: u32, camera: Option<Camera>) {
        let mut cameras = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match camera {
            Some(camera) => cameras.insert(id, camera),
            None => cameras.remove(&id),
        };
    }
}

/// Reads all partitions of the topic from the beginning, on every worker, and goes on following it.
#[citizenk::agent(topics = [CAMERAS], group = none)]
pub async fn cameras(
    camera: Event<Option<Camera>>,
    Key(id): Key<u32>,
    State(cache): State<Cameras>,
) {
    cache.set(id, camera.value);
}

/// Starts when the cache holds everything that was on the topic at start.
#[citizenk::agent(topics = [VIDEOS], output = SITE_VIDEOS, after = [cameras])]
pub async fn enrich(
    video: Event<Video>,
    Key(id): Key<u32>,
    State(cache): State<Cameras>,
) -> Option<SiteVideo> {
    let camera = cache.get(id).filter(|camera| camera.enabled)?;
    Some(SiteVideo {
        path: video.value.path,
        site: camera.site,
    })
}

/// The service.
pub fn app() -> App {
    App::new("site-videos")
        .state(Cameras::default())
        .register::<cameras>()
        .register::<enrich>()
}
// [/cache]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [test]
    #[tokio::test]
    async fn only_wanted_cameras_pass_and_get_their_site() -> citizenk::Result<()> {
        let mut app = TestApp::new(app).start().await?;
        let camera = |site: &str, enabled| Camera {
            site: site.into(),
            enabled,
        };
        app.topic(&CAMERAS).push(&1, camera("gate", true));
        app.topic(&CAMERAS).push(&2, camera("roof", false));
        app.topic(&CAMERAS).push(&3, camera("yard", true));
        app.topic(&CAMERAS).push_tombstone(&3);
        for id in [1, 2, 3, 4] {
            app.topic(&VIDEOS).push(
                &id,
                Video {
                    path: format!("{id}.mp4"),
                },
            );
        }
        // The cache is empty again, and `enrich` waits until it has read what is there.
        app.restart().await?;
        app.settle().await;

        let sent = app.topic(&SITE_VIDEOS).sent();
        let gate = SiteVideo {
            path: "1.mp4".into(),
            site: "gate".into(),
        };
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].key, &sent[0].value), (Some(1), &Some(gate)));
        Ok(())
    }
    // [/test]
}
