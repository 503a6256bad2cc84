//! Endpoints besides the automatic ones.

use axum::response::Html;
use citizenk::ProduceError;
use citizenk::prelude::*;

use crate::{Counts, PROCESSED, ProcessedVideo, Snapshot, VIDEOS, Video};

/// Where to send events.
#[citizenk::message]
pub(crate) struct Target {
    /// One of the topics of `GET /source-topics`.
    topic: String,
}

/// What became of posted events.
#[citizenk::message]
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How many the broker has acknowledged.
    pub events: usize,
}

/// Names of topics.
#[citizenk::message]
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    /// The names.
    pub topics: Vec<String>,
}

/// Sends videos to a topic; answers when the broker has them.
#[citizenk::route(post = "/events")]
pub(crate) async fn produce_video_events(
    Query(target): Query<Target>,
    producer: Producer,
    Json(videos): Json<Vec<Video>>,
) -> Result<Json<Accepted>, Problem> {
    let videos = videos.into_iter();
    let events = match target.topic.as_str() {
        name if name == VIDEOS.name() => send_all(&producer, &VIDEOS, videos).await?,
        name if name == PROCESSED.name() => {
            send_all(&producer, &PROCESSED, videos.map(ProcessedVideo::from)).await?
        }
        name => {
            let detail = format!("topic `{name}` is not supported by this app");
            return Err(Problem::bad_request(detail).field("topic"));
        }
    };
    Ok(Json(Accepted { events }))
}

/// Sends all, in order; what is returned waits for the acknowledgements and counts them.
pub(crate) fn send_all<V: HasCamera, I: Iterator<Item = V>>(
    producer: &Producer,
    topic: &Topic<V, u32>,
    videos: I,
) -> impl Future<Output = Result<usize, ProduceError>> + Send + use<V, I> {
    let sent: Vec<_> = videos
        .map(|video| producer.send(topic, &video.camera_id(), video))
        .collect();
    async move {
        let events = sent.len();
        for acknowledgement in sent {
            acknowledgement.await?;
        }
        Ok(events)
    }
}

/// What videos are keyed by.
pub(crate) trait HasCamera {
    fn camera_id(&self) -> u32;
}

impl HasCamera for Video {
    fn camera_id(&self) -> u32 {
        self.camera_id
    }
}

impl HasCamera for ProcessedVideo {
    fn camera_id(&self) -> u32 {
        self.camera_id
    }
}

/// The topics that `POST /events` takes.
#[citizenk::route(get = "/source-topics")]
pub(crate) async fn source_topics() -> Json<Names> {
    Json(Names {
        topics: vec![VIDEOS.name().to_owned(), PROCESSED.name().to_owned()],
    })
}

/// What this worker has done so far; moves while the generator runs.
#[citizenk::route(get = "/counts")]
pub(crate) async fn counts(State(counts): State<Counts>) -> Json<Snapshot> {
    Json(counts.snapshot())
}

/// A page that shows the counters and how they move.
#[citizenk::route(get = "/live")]
pub(crate) async fn live() -> Html<&'static str> {
    Html(include_str!("live.html"))
}
