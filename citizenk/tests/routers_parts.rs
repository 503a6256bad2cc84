//! Routers of services that are more than one kind of worker: several guarantees, several versions.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use citizenk::http::Merge;
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

#[citizenk::message]
#[derive(Clone, Debug)]
struct Trip {
    van: u32,
}

const SEEN: Topic<Trip, u32> = Topic::json("seen");
const BOOKED: Topic<Trip, u32> = Topic::json("booked");
const BILLS: Topic<Trip, u32> = Topic::json("bills");

#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<(&'static str, u32), u64>>>);

impl Counts {
    fn add(&self, topic: &'static str, van: u32) {
        *self.0.lock().unwrap().entry((topic, van)).or_default() += 1;
    }

    fn of(&self, topic: &'static str, van: u32) -> Json<Option<u64>> {
        Json(self.0.lock().unwrap().get(&(topic, van)).copied())
    }
}

#[citizenk::agent(topics = [SEEN])]
async fn see(trip: Event<Trip>, State(counts): State<Counts>) {
    counts.add("seen", trip.value.van);
}

#[citizenk::agent(topics = [BOOKED], output = BILLS, guarantee = exactly_once)]
async fn bill(trip: Event<Trip>, State(counts): State<Counts>) -> (u32, Trip) {
    counts.add("booked", trip.value.van);
    (trip.value.van, trip.value)
}

#[citizenk::topic_router(topic = SEEN, key = "van", get = "/seen/{van}")]
async fn seen(Path(van): Path<u32>, counts: State<Counts>) -> Json<Option<u64>> {
    counts.of("seen", van)
}

#[citizenk::topic_router(topic = BOOKED, key = "van", get = "/booked/{van}")]
async fn booked(Path(van): Path<u32>, counts: State<Counts>) -> Json<Option<u64>> {
    counts.of("booked", van)
}

/// Each guarantee has a consumer of its own, and both are members of the service's group.
#[test]
fn two_guarantees_of_one_group_are_one_worker_to_routers() {
    const VANS: u32 = 16;
    let app = || {
        App::new("vans")
            .state(Counts::default())
            .register::<see>()
            .register::<bill>()
            .register::<seen>()
            .register::<booked>()
    };
    for secret in [false, true] {
        block_on(async {
            let mut builder = TestApp::new(app)
                .workers(3)
                .partitions(&SEEN, 8)
                .partitions(&BOOKED, 8);
            if secret {
                builder = builder.env("CITIZENK_CLUSTER_SECRET", "a-secret-of-all-the-workers");
            } else {
                let urls: Vec<String> = (0..3).map(TestApp::url_of).collect();
                builder = builder.env("CITIZENK_PEERS", &urls.join(","));
            }
            let app = builder.start().await?;
            for van in 0..VANS {
                app.topic(&SEEN).push(&van, Trip { van });
                app.topic(&BOOKED).push(&van, Trip { van });
            }
            app.settle().await;
            for worker in 0..3 {
                for van in 0..VANS {
                    for path in [format!("/seen/{van}"), format!("/booked/{van}")] {
                        let answer = app.request_to(worker, "GET", &path, &[], None).await;
                        assert_eq!((answer.status, &*answer.body), (200, "1"), "{path}");
                    }
                }
            }
            app.stop().await
        })
        .unwrap();
    }
}

/// A number; a worker of another version writes a text, which the others do not read.
#[derive(Deserialize, schemars::JsonSchema)]
struct Part(u32);

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1 => serializer.serialize_str("one"),
            number => serializer.serialize_u32(number),
        }
    }
}

impl Merge for Part {
    fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// Which worker this is, in the order in which they were first asked.
#[derive(Clone, Default)]
struct Number(Arc<OnceLock<u32>>);

impl Number {
    fn get(&self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        *self.0.get_or_init(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[citizenk::broadcast_router(get = "/sum")]
async fn sum(State(number): State<Number>) -> Json<Part> {
    citizenk::http::Json(Part(number.get()))
}

#[citizenk::broadcast_router(get = "/list", merge = list)]
async fn list(State(number): State<Number>) -> Result<Json<Part>, Problem> {
    match number.get() {
        1 => Err(Problem::not_found("nothing here")),
        number => Ok(citizenk::http::Json(Part(number))),
    }
}

#[test]
fn a_part_that_does_not_fit_is_a_missing_part_and_named() {
    let app = || {
        App::new("vans")
            .state(Counts::default())
            .state(Number::default())
            .register::<see>()
            .register::<sum>()
            .register::<list>()
    };
    block_on(async {
        let app = TestApp::new(app)
            .workers(4)
            .partitions(&SEEN, 8)
            .env("CITIZENK_CLUSTER_SECRET", "a-secret-of-all-the-workers")
            .start()
            .await?;
        let odd = {
            let list = app.request_to(0, "GET", "/list", &[], None).await;
            let list: Vec<Value> = list.json();
            let odd = list.iter().find(|entry| entry["error"].is_string());
            odd.unwrap()["worker"].as_str().unwrap().to_owned()
        };
        for worker in 0..4 {
            for path in ["/sum", "/list"] {
                let answer = app.request_to(worker, "GET", path, &[], None).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
                let failed = answer.headers.get("citizenk-failed-workers");
                assert_eq!(failed, Some(&odd), "{path}: {}", answer.body);
                if path == "/sum" {
                    assert_eq!(answer.body, "5", "the sum of the others");
                }
            }
        }
        app.stop().await
    })
    .unwrap();
}
