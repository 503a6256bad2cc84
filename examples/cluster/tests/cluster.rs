//! Three workers without Kafka and processes.

use std::collections::BTreeMap;

use citizenk::testing::TestApp;
use cluster::{Camera, VIDEOS, Video};

#[tokio::test]
async fn any_worker_answers_for_any_camera() -> citizenk::Result<()> {
    let builder = TestApp::new(cluster::app)
        .workers(3)
        .partitions(&VIDEOS, 12);
    let secret = ("CITIZENK_CLUSTER_SECRET", "a-secret-of-all-the-workers");
    let app = builder.env(secret.0, secret.1).start().await?;
    for camera_id in 1..=20 {
        app.topic(&VIDEOS).push(&camera_id, Video { camera_id });
    }
    app.settle().await;
    for camera in 1..=20_u32 {
        let mut answers = Vec::new();
        for worker in 0..3 {
            let path = format!("/cameras/{camera}");
            let answer = app.request_to(worker, "GET", &path, &[], None).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            answers.push(answer.json::<Camera>());
        }
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
        assert_eq!(answers[0].videos, 1, "said by who counted it");
    }
    let hops = app.forwarded();
    let hops = hops.iter().filter(|(_, what)| what.contains("/cameras/"));
    assert_eq!(hops.count(), 2 * 20, "two of three workers have to ask");
    for worker in 0..3 {
        let all = app.request_to(worker, "GET", "/cameras", &[], None).await;
        assert_eq!(all.json::<BTreeMap<u32, u64>>().len(), 20);
    }
    Ok(app.stop().await?)
}
