//! The demo without a broker.

use citizenk::prelude::*;
use citizenk::testing::TestApp;
use demo::{Accepted, Names, PROCESSED, ProcessedVideo, Snapshot, Traffic, VALID, VIDEOS, Video};
use serde_json::{Value, json};

async fn quiet() -> citizenk::Result<TestApp> {
    let app = TestApp::new(demo::app).override_state(Traffic::per_second(0));
    Ok(app.partitions(&VIDEOS, 4).start().await?)
}

fn video(camera_id: u32) -> Video {
    Video {
        camera_id,
        path: format!("/videos/{camera_id}/1.mp4"),
        timestamp: DateTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn videos_travel_from_b_to_c_to_d() -> citizenk::Result<()> {
    let app = quiet().await?;
    for camera in 0..10 {
        app.topic(&VIDEOS).push(&camera, video(camera));
    }
    // Two batches, one after the other, that are not full.
    app.advance("1s").await;

    assert_eq!(app.topic(&PROCESSED).sent().len(), 10);
    let sent = app.topic(&VALID).sent();
    let mut valid: Vec<ProcessedVideo> = sent.into_iter().filter_map(|sent| sent.value).collect();
    valid.sort_by_key(|video| video.camera_id);
    assert_eq!(valid, [1, 3, 5, 7, 9].map(|camera| video(camera).into()));

    let counts: Snapshot = app.get("/counts").await.json();
    assert_eq!((counts.processed, counts.valid), (10, 5));
    assert_eq!(counts.cameras[&7], 1);
    Ok(())
}

#[tokio::test]
async fn posted_events_reach_the_named_topic() -> citizenk::Result<()> {
    let app = quiet().await?;
    let answer = app.post("/events?topic=B", &vec![video(1), video(2)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json::<Accepted>(), Accepted { events: 2 });
    app.advance("1s").await;
    assert_eq!(app.topic(&VALID).sent().len(), 1);

    let names: Names = app.get("/source-topics").await.json();
    assert_eq!(names.topics, ["B", "C"]);
    Ok(())
}

#[tokio::test]
async fn wrong_posts_are_refused_and_send_nothing() -> citizenk::Result<()> {
    let app = quiet().await?;
    let answer = app.post("/events?topic=X", &vec![video(1)]).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json::<Value>()["field"], "topic");

    let half = json!([video(1), { "camera_id": 2, "path": "/x", "timestamp": "yesterday" }]);
    let answer = app.post("/events?topic=B", &half).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json::<Value>()["field"], "[1].timestamp");

    app.settle().await;
    assert!(app.topic(&VIDEOS).sent().is_empty());
    Ok(())
}

#[tokio::test]
async fn the_generator_keeps_its_rate() -> citizenk::Result<()> {
    let app = TestApp::new(demo::app).override_state(Traffic::per_second(50));
    let app = app.start().await?;
    app.advance("10s").await;
    let counts: Snapshot = app.get("/counts").await.json();
    assert!((500..=505).contains(&counts.generated), "{counts:?}");
    Ok(())
}
