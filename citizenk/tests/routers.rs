//! Requests that belong to one worker, or to all.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, TestResponse, block_on};
use citizenk::{RunError, http::Merge};
use serde_json::{Value, json};

#[citizenk::message]
#[derive(Clone, Debug)]
struct Video {
    camera_id: u32,
}

const VIDEOS: Topic<Video, u32> = Topic::json("videos");

/// Videos per camera, of this worker.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<u32, u64>>>);

impl Counts {
    fn all(&self) -> BTreeMap<u32, u64> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, camera: u32, videos: u64) -> u64 {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(camera).or_default();
        *count += videos;
        *count
    }
}

#[citizenk::agent(topics = [VIDEOS])]
async fn count(video: Event<Video>, State(counts): State<Counts>) {
    counts.add(video.value.camera_id, 1);
}

#[citizenk::topic_router(topic = VIDEOS, key = "camera_id", get = "/cameras/{camera_id}",
                         forward_headers = ["x-tenant"])]
async fn camera(
    Path(camera_id): Path<u32>,
    headers: axum::http::HeaderMap,
    State(counts): State<Counts>,
) -> Result<Json<Value>, Problem> {
    let count = counts.all().get(&camera_id).copied();
    let count = count.ok_or_else(|| Problem::not_found(format!("no camera {camera_id}")))?;
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    Ok(Json(json!({
        "camera": camera_id,
        "count": count,
        "tenant": header("x-tenant"),
        "cookie": header("cookie"),
    })))
}

#[citizenk::message]
struct More {
    camera: u32,
    videos: u64,
}

#[citizenk::topic_router(topic = VIDEOS, key = body.camera, post = "/cameras")]
async fn add(State(counts): State<Counts>, Json(more): Json<More>) -> Json<u64> {
    Json(counts.add(more.camera, more.videos))
}

#[citizenk::topic_router(topic = VIDEOS, key = "camera", delete = "/counts")]
async fn reset(State(counts): State<Counts>) -> &'static str {
    counts.0.lock().unwrap().clear();
    "<b>gone</b>"
}

#[citizenk::broadcast_router(get = "/cameras")]
async fn cameras(State(counts): State<Counts>) -> Json<BTreeMap<u32, u64>> {
    Json(counts.all())
}

#[citizenk::broadcast_router(get = "/workers", merge = list)]
async fn workers(State(counts): State<Counts>) -> Json<usize> {
    Json(counts.all().len())
}

#[citizenk::message]
#[derive(PartialEq)]
struct Busiest(u64);

impl Merge for Busiest {
    fn merge(&mut self, other: Self) {
        self.0 = self.0.max(other.0);
    }
}

#[citizenk::broadcast_router(get = "/busiest")]
async fn busiest(State(counts): State<Counts>) -> Result<Json<Busiest>, Problem> {
    let counts = counts.all();
    let most = counts.values().max().copied();
    most.map(|most| Json(Busiest(most)))
        .ok_or_else(|| Problem::not_found("no videos"))
}

fn app() -> App {
    App::new("cameras")
        .state(Counts::default())
        .register::<count>()
        .register::<camera>()
        .register::<add>()
        .register::<reset>()
        .register::<cameras>()
        .register::<workers>()
        .register::<busiest>()
}

const CAMERAS: u32 = 24;

/// Three workers that share the videos of all cameras: camera n sent n.
async fn start(peers: bool) -> Result<TestApp, RunError> {
    let mut builder = TestApp::new(app).workers(3).partitions(&VIDEOS, 8);
    if peers {
        let urls: Vec<String> = (0..3).map(TestApp::url_of).collect();
        builder = builder.env("CITIZENK_PEERS", &urls.join(", "));
    } else {
        builder = builder.env("CITIZENK_CLUSTER_SECRET", "a-secret-of-all-the-workers");
    }
    let app = builder.start().await?;
    for camera_id in 1..=CAMERAS {
        for _ in 0..camera_id {
            app.topic(&VIDEOS).push(&camera_id, Video { camera_id });
        }
    }
    app.settle().await;
    Ok(app)
}

async fn get(app: &TestApp, worker: usize, path: &str) -> TestResponse {
    app.request_to(worker, "GET", path, &[], None).await
}

/// The worker that has a camera's partition.
fn owner(app: &TestApp, camera: u32) -> usize {
    let partition = citizenk::Partitioner::Murmur2.partition(camera.to_string().as_bytes(), 8);
    let has = |worker: &usize| {
        app.owned_by(*worker)
            .iter()
            .any(|owned| owned.partition == i32::try_from(partition).unwrap())
    };
    (0..3).find(has).unwrap()
}

#[test]
fn every_worker_answers_for_every_key_with_one_hop_at_most() {
    for peers in [false, true] {
        block_on(async {
            let app = start(peers).await?;
            for worker in 0..3 {
                for camera in 1..=CAMERAS {
                    // The table of owners is asked for once; that is no request for a camera.
                    app.forwarded();
                    // One partition, however the key is spelt.
                    let path = format!("/cameras/{camera:03}");
                    let answer = get(&app, worker, &path).await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    assert_eq!(answer.json::<Value>()["count"], camera);
                    let hops = app.forwarded();
                    let hops = hops.iter().filter(|(_, what)| what.contains("/cameras/"));
                    let hops: Vec<_> = hops.collect();
                    let at = owner(&app, camera);
                    assert_eq!(hops.len(), usize::from(at != worker), "{hops:?}");
                    assert!(hops.iter().all(|(to, _)| *to == TestApp::url_of(at)));
                }
            }
            app.stop().await
        })
        .unwrap();
    }
}

#[test]
fn keys_stand_in_path_query_and_body_and_answers_pass_as_they_are() {
    block_on(async {
        let app = start(false).await?;
        let json = |body: Value| Some(body.to_string());
        for camera in 1..=CAMERAS {
            let body = json(json!({ "camera": camera, "videos": 100 }));
            let answer = app.request_to(0, "POST", "/cameras", &[], body).await;
            assert_eq!(answer.json::<u64>(), u64::from(camera) + 100);
        }
        let foreign = (1..=CAMERAS)
            .find(|camera| owner(&app, *camera) != 0)
            .unwrap();
        let gone = format!("/counts?camera={foreign}");
        let answer = app.request_to(0, "DELETE", &gone, &[], None).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "<b>gone</b>"));
        assert!(answer.content_type.unwrap().starts_with("text/plain"));
        let answer = get(&app, 0, &format!("/cameras/{foreign}")).await;
        assert_eq!(answer.status, 404, "a problem comes back as a problem");
        assert!(answer.body.contains("no camera"), "{}", answer.body);
        for (method, path, body, status) in [
            ("GET", "/cameras/abc", None, 400),
            ("DELETE", "/counts", None, 400),
            ("DELETE", "/counts?camera=abc", None, 400),
            ("POST", "/cameras", json(json!({ "videos": 1 })), 422),
            ("POST", "/cameras", Some("nonsense".to_owned()), 400),
        ] {
            let answer = app.request_to(0, method, path, &[], body).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        }
        app.stop().await
    })
    .unwrap();
}

#[test]
fn only_declared_headers_go_along_and_nobody_can_claim_to_be_a_worker() {
    block_on(async {
        let app = start(false).await?;
        let foreign = (1..=CAMERAS)
            .find(|camera| owner(&app, *camera) != 0)
            .unwrap();
        let path = format!("/cameras/{foreign}");
        let headers = [
            ("x-tenant", "acme".to_owned()),
            ("cookie", "session=1".to_owned()),
        ];
        let answer = app.request_to(0, "GET", &path, &headers, None).await;
        let answer: Value = answer.json();
        assert_eq!(
            (&answer["tenant"], &answer["cookie"]),
            (&json!("acme"), &json!(null))
        );
        for forged in ["1", "1;t=1;h=;mac=00", "1;t=0;h=x-tenant;mac="] {
            let headers = [("citizenk-hop", forged.to_owned())];
            for path in [&*path, "/cameras", "/cluster/owned/default/cameras"] {
                let answer = app.request_to(0, "GET", path, &headers, None).await;
                assert_eq!(answer.status, 403, "{path}: {}", answer.body);
            }
        }
        let answer = get(&app, 0, "/cluster/owned/default/cameras").await;
        assert_eq!(answer.status, 403, "{}", answer.body);
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_moved_key_is_found_again() {
    for peers in [false, true] {
        block_on(async {
            let mut app = start(peers).await?;
            for camera in 1..=CAMERAS {
                assert_eq!(
                    get(&app, 0, &format!("/cameras/{camera}")).await.status,
                    200
                );
            }
            // What worker 2 had goes to the others; worker 0 may have heard nothing of that.
            let moved: Vec<u32> = (1..=CAMERAS)
                .filter(|camera| owner(&app, *camera) == 2)
                .collect();
            assert!(!moved.is_empty());
            app.stop_worker(2).await?;
            for camera in moved {
                let answer = get(&app, 0, &format!("/cameras/{camera}")).await;
                // Its count was in the other's memory; what counts is who answers.
                assert_eq!(answer.status, 404, "{}", answer.body);
                app.forwarded();
                get(&app, 0, &format!("/cameras/{camera}")).await;
                let at = owner(&app, camera);
                let hops = app.forwarded();
                let hops = hops.iter().filter(|(_, what)| what.contains("/cameras/"));
                assert!(hops.clone().all(|(to, _)| *to == TestApp::url_of(at)));
                assert_eq!(hops.count(), usize::from(at != 0));
            }
            app.stop().await
        })
        .unwrap();
    }
}

#[test]
fn an_owner_that_is_cut_off_is_503_and_one_that_hangs_is_504_without_a_second_try() {
    block_on(async {
        let app = start(false).await?;
        let foreign = (1..=CAMERAS)
            .find(|camera| owner(&app, *camera) == 1)
            .unwrap();
        let path = format!("/cameras/{foreign}");
        app.cut_web(1);
        let answer = get(&app, 0, &path).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert_eq!(
            answer.headers.get("retry-after").map(String::as_str),
            Some("1")
        );
        app.forwarded();
        app.pause_web(1);
        let body = json!({ "camera": foreign, "videos": 1 }).to_string();
        let before = app.now();
        let answer = app.request_to(0, "POST", "/cameras", &[], Some(body)).await;
        assert_eq!(answer.status, 504, "{}", answer.body);
        assert!(
            answer.body.contains("may have been carried out"),
            "{}",
            answer.body
        );
        assert!((app.now() - before).num_seconds() <= 31);
        assert_eq!(
            app.forwarded().len(),
            1,
            "a request that may have run is not repeated"
        );
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_worker_that_was_lost_and_does_not_know_it_is_no_loop() {
    block_on(async {
        let app = start(true).await?;
        let lost: Vec<u32> = (1..=CAMERAS)
            .filter(|camera| owner(&app, *camera) == 1)
            .collect();
        for camera in &lost {
            get(&app, 0, &format!("/cameras/{camera}")).await;
        }
        // The group takes its partitions away; each request ends at once, with an answer of one worker.
        app.lose_worker(1).await;
        for camera in lost {
            app.forwarded();
            let answer = get(&app, 0, &format!("/cameras/{camera}")).await;
            assert!([200, 404, 503].contains(&answer.status), "{}", answer.body);
            let hops = app.forwarded();
            let hops = hops.iter().filter(|(_, what)| what.contains("/cameras/"));
            assert!(hops.count() <= 2);
        }
        app.stop().await
    })
    .unwrap();
}

#[test]
fn answers_of_all_workers_become_one_and_missing_parts_are_named() {
    for peers in [false, true] {
        block_on(async {
            let app = start(peers).await?;
            let expected: BTreeMap<u32, u64> = (1..=CAMERAS)
                .map(|camera| (camera, u64::from(camera)))
                .collect();
            for worker in 0..3 {
                let answer = get(&app, worker, "/cameras").await;
                assert_eq!(answer.headers.get("citizenk-failed-workers"), None);
                assert_eq!(answer.json::<BTreeMap<u32, u64>>(), expected);
                assert_eq!(
                    get(&app, worker, "/busiest").await.json::<u64>(),
                    u64::from(CAMERAS)
                );
                let list: Vec<Value> = get(&app, worker, "/workers").await.json();
                assert_eq!(list.len(), 3);
                let total: u64 = list
                    .iter()
                    .filter_map(|entry| entry["answer"].as_u64())
                    .sum();
                assert_eq!(total, u64::from(CAMERAS));
            }
            app.cut_web(1);
            app.pause_web(2);
            let answer = get(&app, 0, "/cameras").await;
            assert_eq!(answer.status, 200);
            let failed = format!("{}, {}", TestApp::url_of(1), TestApp::url_of(2));
            assert_eq!(answer.headers.get("citizenk-failed-workers"), Some(&failed));
            let part: BTreeMap<u32, u64> = answer.json();
            assert!(!part.is_empty() && part.len() < expected.len());
            let list: Vec<Value> = get(&app, 0, "/workers").await.json();
            assert_eq!(
                list.iter()
                    .filter(|entry| entry["error"].is_string())
                    .count(),
                2
            );
            app.stop().await
        })
        .unwrap();
    }
}

#[test]
fn without_a_secret_members_elsewhere_are_not_asked() {
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&VIDEOS, 8)
            .env(
                "CITIZENK_PEERS",
                "http://10.0.0.1:8000, http://169.254.169.254, file:///etc/passwd",
            )
            .start()
            .await?;
        assert_eq!(get(&app, 0, "/cameras").await.status, 200);
        assert!(app.forwarded().is_empty());
        app.stop().await
    })
    .unwrap();
}

#[test]
fn what_routers_answer_is_documented() {
    block_on(async {
        let app = start(true).await?;
        let document = app.get("/openapi.json").await.json::<Value>();
        let camera = &document["paths"]["/cameras/{camera_id}"]["get"]["responses"];
        for status in ["400", "502", "503", "504"] {
            let problem = &camera[status]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{status}: {camera}");
        }
        let all = &document["paths"]["/cameras"]["get"]["responses"];
        assert!(
            all["200"]["headers"]["citizenk-failed-workers"].is_object(),
            "{all}"
        );
        assert_eq!(
            all["200"]["content"]["application/json"]["schema"]["type"],
            "object"
        );
        let list = &document["paths"]["/workers"]["get"]["responses"]["200"];
        let list = &list["content"]["application/json"]["schema"];
        assert_eq!(list["type"], "array", "{list}");
        assert_eq!(
            list["items"]["properties"]["answer"]["type"], "integer",
            "{list}"
        );
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_router_needs_a_group_to_follow() {
    let error = App::new("cameras")
        .state(Counts::default())
        .register::<camera>()
        .check()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no agent reads it in a consumer group"),
        "{error}"
    );
    #[citizenk::agent(topics = [VIDEOS], group = "audit")]
    async fn audit(video: Event<Video>) {
        drop(video);
    }
    let two = || {
        App::new("cameras")
            .state(Counts::default())
            .register::<count>()
            .register::<audit>()
    };
    let error = two().register::<camera>().check().unwrap_err().to_string();
    assert!(error.contains("say whose with `agent = ..`"), "{error}");
    #[citizenk::topic_router(topic = VIDEOS, key = "id", agent = audit, get = "/audited/{id}")]
    async fn audited(Path(id): Path<u32>) -> Json<u32> {
        Json(id)
    }
    two().register::<audited>().check().unwrap();
}

/// Its last digit decides.
fn by_last(key: &[u8], partitions: u32) -> u32 {
    key.last().map_or(0, |digit| u32::from(*digit)) % partitions
}

const BY_LAST: Topic<Video, u32> =
    Topic::json("by-last").partitioner(citizenk::Partitioner::Custom(by_last));
const BY_CRC: Topic<Video, u32> = Topic::json("by-crc").partitioner(citizenk::Partitioner::Crc32);

#[citizenk::agent(topics = [BY_LAST, BY_CRC])]
async fn count_both(video: Event<Video>, State(counts): State<Counts>) {
    counts.add(video.value.camera_id, 1);
}

#[citizenk::topic_router(topic = BY_LAST, key = "camera_id", get = "/by-last/{camera_id}")]
async fn last(camera: Path<u32>, counts: State<Counts>) -> Json<Option<u64>> {
    Json(counts.all().get(&camera).copied())
}

#[citizenk::topic_router(topic = BY_CRC, key = "camera_id", get = "/by-crc/{camera_id}")]
async fn crc(camera: Path<u32>, counts: State<Counts>) -> Json<Option<u64>> {
    Json(counts.all().get(&camera).copied())
}

#[test]
fn a_key_is_looked_for_where_its_topics_partitioner_puts_it() {
    let app = || {
        App::new("cameras")
            .state(Counts::default())
            .register::<count_both>()
            .register::<last>()
            .register::<crc>()
    };
    block_on(async {
        let app = TestApp::new(app)
            .workers(3)
            .partitions(&BY_LAST, 8)
            .partitions(&BY_CRC, 8)
            .env("CITIZENK_CLUSTER_SECRET", "a-secret-of-all-the-workers")
            .start()
            .await?;
        let push = |topic: &Topic<Video, u32>, camera_id| {
            app.topic(topic).push(&camera_id, Video { camera_id });
        };
        for camera in 1..=CAMERAS {
            push(&BY_LAST, camera);
            push(&BY_CRC, 100 + camera);
        }
        app.settle().await;
        for worker in 0..3 {
            for camera in 1..=CAMERAS {
                let crc = 100 + camera;
                for path in [format!("/by-last/{camera}"), format!("/by-crc/{crc}")] {
                    let answer = get(&app, worker, &path).await;
                    assert_eq!((answer.status, answer.body.as_str()), (200, "1"), "{path}");
                }
            }
        }
        app.stop().await
    })
    .unwrap();
}
