//! The two agents.

use citizenk::prelude::*;

use crate::{Counts, PROCESSED, ProcessedVideo, VALID, VIDEOS, Video};

/// Looks at every video and passes it on.
#[citizenk::agent(topics = [VIDEOS], sends = [PROCESSED], batch_size = 100, batch_timeout = "200ms")]
pub(crate) async fn process_videos(
    videos: Batch<Event<Video>>,
    State(counts): State<Counts>,
    out: Outbox,
) -> citizenk::Result<()> {
    for video in &videos {
        let video = ProcessedVideo::from(video.value.clone());
        out.record(&PROCESSED)
            .key(&video.camera_id)
            .send_ref(&video)?;
    }
    counts.processed(videos.iter().map(|video| video.value.camera_id));
    Ok(())
}

/// Passes on what is valid.
#[citizenk::agent(topics = [PROCESSED], output = VALID, batch_size = 100, batch_timeout = "200ms")]
pub(crate) async fn select_valid(
    videos: Batch<ProcessedVideo>,
    State(counts): State<Counts>,
) -> Vec<(u32, ProcessedVideo)> {
    let valid: Vec<_> = videos
        .into_iter()
        .filter(|video| video.valid)
        .map(|video| (video.camera_id, video))
        .collect();
    counts.valid(valid.len());
    valid
}
