//! How a worker finds out which other one has a partition; nothing is sent.

use super::*;
use tokio::time::Instant;

/// A route that follows the partitions of `videos`, and one that asks all workers.
pub(super) fn routed() -> Vec<RouteDef> {
    let follows = |route: &mut RouteDef| {
        if let Some(routing) = &mut route.routing {
            routing.group = Some(("default", "demo".to_owned()));
        }
    };
    let method = axum::http::Method::POST;
    let key = KeyPlace::Parameter("id".to_owned());
    let one = plain_route("note", method.clone(), "/notes/{id}");
    let mut one = topic_router(one, &VIDEOS, key, None, &[]);
    let answer = |_| async { Json(1).into_response() };
    let all = route(
        "all",
        Origin::default(),
        method,
        "/all",
        None,
        answer,
        |_| {},
    );
    let mut all = broadcast_router(all, None, None, &[]);
    follows(&mut one);
    follows(&mut all);
    vec![one, all]
}

fn router(fake: &Arc<Fake>) -> Router {
    let parts = Parts {
        routes: routed(),
        ..Parts::default()
    };
    parts
        .plan()
        .router(fake.clone(), surroundings(Exposure::Test, None))
}

/// A worker without partitions whose broker answers so many questions about members.
fn lost(answers: usize) -> Arc<Fake> {
    Arc::new(Fake {
        owned: Mutex::new(Some(Vec::new())),
        answers: Some(tokio::sync::Semaphore::new(answers)),
        ..Fake::new()
    })
}

#[tokio::test(start_paused = true)]
async fn while_the_broker_is_silent_all_requests_wait_for_one_question() {
    let fake = lost(0);
    let router = router(&fake);
    let begun = Instant::now();
    let paths: Vec<String> = (0..200).map(|id| format!("/notes/{id}")).collect();
    let asked = paths.iter().map(|path| post(&router, path, ""));
    for answer in futures_util::future::join_all(asked).await {
        answer.problem(503);
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    let (members, partitions) = *fake.questions.lock().unwrap();
    assert_eq!((members, partitions), (1, 1));
    // Who comes later asks anew.
    post(&router, "/notes/1", "").await.problem(503);
    assert_eq!(fake.questions.lock().unwrap().0, 2);
    assert!(begun.elapsed() < Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn a_question_whose_askers_have_all_left_is_asked_anew() {
    let fake = lost(0);
    let router = router(&fake);
    let mut left = Box::pin(post(&router, "/all", ""));
    assert!(futures_util::poll!(&mut left).is_pending());
    drop(left);
    // However many come and go, they do not put off who stays.
    for _ in 0..100 {
        let mut left = Box::pin(post(&router, "/all", ""));
        assert!(futures_util::poll!(&mut left).is_pending());
    }
    fake.answers.as_ref().unwrap().add_permits(1);
    let begun = Instant::now();
    post(&router, "/all", "").await.ok();
    assert_eq!(fake.questions.lock().unwrap().0, 2);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_rebalance_does_not_count_after_it() {
    let fake = lost(0);
    let router = router(&fake);
    let mut before = Box::pin(post(&router, "/all", ""));
    assert!(futures_util::poll!(&mut before).is_pending());
    *fake.rebalances.lock().unwrap() += 1;
    // It finds the open question, and waits for one of its own.
    let mut after = Box::pin(post(&router, "/all", ""));
    assert!(futures_util::poll!(&mut after).is_pending());
    assert_eq!(fake.questions.lock().unwrap().0, 1);
    fake.answers.as_ref().unwrap().add_permits(1);
    before.await.ok();
    assert!(futures_util::poll!(&mut after).is_pending());
    fake.answers.as_ref().unwrap().add_permits(1);
    after.await.ok();
    assert_eq!(fake.questions.lock().unwrap().0, 2);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_partitions_is_asked_for_again_after_a_rebalance() {
    let fake = Arc::new(Fake {
        owned: Mutex::new(Some(
            (0..4)
                .map(|n| crate::TopicPartition::new("videos", n))
                .collect(),
        )),
        ..Fake::new()
    });
    let router = router(&fake);
    let asked = || fake.questions.lock().unwrap().1;
    for _ in 0..3 {
        assert_eq!(post(&router, "/notes/1", "").await.status, 200);
    }
    assert_eq!(asked(), 1);
    // As a topic that grows makes its groups do.
    *fake.rebalances.lock().unwrap() += 1;
    for _ in 0..3 {
        assert_eq!(post(&router, "/notes/1", "").await.status, 200);
    }
    assert_eq!(asked(), 2);
}
