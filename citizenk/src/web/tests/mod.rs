//! The web on a service that is not there, through the router and through sockets.

mod auto;
mod document;
mod guards;
mod owners;
mod routes;
mod routing;
mod sockets;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::agent::Origin;
use crate::codec::RawBytes;
use crate::error::BuildIssue;
use crate::extract::{ProduceError, Sent};
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;
use crate::transport::{BrokerKind, TransportError};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Video {
    pub(super) camera_id: u32,
    pub(super) path: String,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

const VIDEOS: Topic<Video, u32> = Topic::json("videos");
const FRAMES: Topic<RawBytes> = Topic::raw("frames");
const INTERNAL: Topic<Video> = Topic::json("__secret");

pub(super) struct Fake {
    info: ServiceInfo,
    pub(super) produced: Mutex<Vec<ProduceRequest>>,
    pub(super) called: Mutex<Vec<AgentCall>>,
    pub(super) failure: Mutex<Option<ProduceError>>,
    pub(super) silent: bool,
    pub(super) conditions: Mutex<Vec<Condition>>,
    pub(super) owned: Mutex<Option<Vec<crate::TopicPartition>>>,
    pub(super) members: Mutex<Vec<GroupMember>>,
    pub(super) rebalances: Mutex<u64>,
    /// How often it was asked for members, and for partitions.
    pub(super) questions: Mutex<(u32, u32)>,
    /// One per answer, where the broker answers only now and then.
    pub(super) answers: Option<tokio::sync::Semaphore>,
}

pub(super) fn info() -> ServiceInfo {
    let topics = [
        TopicInfo::of(&VIDEOS),
        TopicInfo::of(&FRAMES),
        TopicInfo::of(&INTERNAL),
    ];
    ServiceInfo {
        name: "demo".into(),
        group: Some("demo".into()),
        version: "1.2.3".into(),
        title: "Demo".into(),
        description: Some("Counts videos.".into()),
        license: Some(License {
            name: "Apache-2.0".into(),
            url: Some("https://www.apache.org/licenses/LICENSE-2.0".into()),
        }),
        broker: BrokerKind::Memory,
        bootstrap: "memory".into(),
        cluster_id: None,
        clusters: Vec::new(),
        agents: vec![AgentDoc {
            name: "process".into(),
            doc: "Counts.".into(),
            kind: "event".into(),
            topics: vec!["videos".into()],
            outputs: vec!["frames".into()],
            retry_topics: Vec::new(),
            cluster: "default",
            group: Some("demo".into()),
            location: "src/main.rs:7".into(),
        }],
        topics: topics
            .into_iter()
            .map(|info| TopicDoc {
                broker_name: format!("staging.{}", info.name),
                info,
            })
            .collect(),
        timers: vec![TaskDoc {
            name: "report".into(),
            doc: String::new(),
            schedule: "every 5s".into(),
            outputs: Vec::new(),
            location: "src/main.rs:9".into(),
        }],
        hooks: Vec::new(),
        routes: Vec::new(),
    }
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            info: info(),
            produced: Mutex::default(),
            called: Mutex::default(),
            failure: Mutex::default(),
            silent: false,
            conditions: Mutex::default(),
            owned: Mutex::default(),
            members: Mutex::default(),
            rebalances: Mutex::default(),
            questions: Mutex::default(),
            answers: None,
        }
    }

    async fn until_it_answers(&self) {
        if let Some(answers) = &self.answers {
            answers.acquire().await.unwrap().forget();
        }
    }
}

impl Service for Fake {
    fn info(&self) -> &ServiceInfo {
        &self.info
    }

    fn stats(&self) -> Value {
        json!({ "producer": { "in_flight": 0 } })
    }

    fn produce(&self, request: ProduceRequest) -> Answer<'_, Result<Sent, ProduceError>> {
        Box::pin(async move {
            if self.silent {
                std::future::pending::<()>().await;
            }
            if let Some(error) = self.failure.lock().unwrap().take() {
                return Err(error);
            }
            let partition = request.partition.unwrap_or(4);
            self.produced.lock().unwrap().push(request);
            Ok(Sent {
                partition,
                offset: 42,
            })
        })
    }

    fn call_agent(&self, call: AgentCall) -> Answer<'_, Result<CallReport, Problem>> {
        Box::pin(async move {
            self.called.lock().unwrap().push(call);
            Ok(CallReport {
                outcome: "processed".into(),
                outputs: 2,
            })
        })
    }

    fn health(&self) -> Vec<Condition> {
        self.conditions.lock().unwrap().clone()
    }

    fn answered(&self, _: &'static str, _: &str, _: u16, _: Duration) {}

    fn owned(&self, _: &str, _: &str) -> Option<Vec<crate::TopicPartition>> {
        self.owned.lock().unwrap().clone()
    }

    fn rebalances(&self, _: &str, _: &str) -> u64 {
        *self.rebalances.lock().unwrap()
    }

    fn partitions(&self, _: &'static str, _: String) -> Answer<'_, Result<u32, Problem>> {
        Box::pin(async {
            self.questions.lock().unwrap().1 += 1;
            Ok(4)
        })
    }

    fn members(&self, _: &'static str, _: String) -> Answer<'_, Result<Vec<GroupMember>, Problem>> {
        Box::pin(async {
            self.questions.lock().unwrap().0 += 1;
            self.until_it_answers().await;
            Ok(self.members.lock().unwrap().clone())
        })
    }

    fn metrics(&self) -> String {
        "# EOF\n".into()
    }
}

pub(super) fn delivery(code: &str, retriable: bool) -> ProduceError {
    ProduceError::Delivery {
        topic: "videos".into(),
        source: TransportError {
            context: "producing".into(),
            code: code.into(),
            message: "no".into(),
            retriable,
            fatal: false,
        },
    }
}

/// What a test gives a service besides [`Fake`].
#[derive(Default)]
pub(super) struct Parts {
    pub(super) config: WebConfig,
    pub(super) routes: Vec<RouteDef>,
    pub(super) routers: Vec<Routes>,
    pub(super) layers: Vec<WebLayer>,
}

impl Parts {
    pub(super) fn plan(self) -> WebPlan {
        self.try_plan()
            .unwrap_or_else(|issues| panic!("{issues:?}"))
    }

    pub(super) fn try_plan(self) -> Result<WebPlan, Vec<BuildIssue>> {
        WebPlan::new(self.config, &info(), self.routes, self.routers, self.layers)
    }

    pub(super) fn issues(self) -> Vec<String> {
        match self.try_plan() {
            Ok(_) => Vec::new(),
            Err(issues) => issues.iter().map(ToString::to_string).collect(),
        }
    }

    pub(super) fn router(self) -> Router {
        self.plan()
            .router(Arc::new(Fake::new()), surroundings(Exposure::Test, None))
    }
}

pub(super) fn router_of(fake: &Arc<Fake>, config: WebConfig, exposure: Exposure) -> Router {
    let parts = Parts {
        config,
        ..Parts::default()
    };
    parts
        .plan()
        .router(fake.clone(), surroundings(exposure, None))
}

/// Requests carry a text that [`attached`] finds.
pub(super) fn surroundings(
    exposure: Exposure,
    executor: Option<tokio::runtime::Handle>,
) -> Surroundings {
    Surroundings {
        exposure,
        executor,
        attach: Arc::new(|extensions| {
            extensions.insert("attached");
        }),
        neighbourhood: Neighbourhood::default(),
    }
}

/// An answer, read.
pub(super) struct Read {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Read {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a problem document and returns it.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Problem::MEDIA_TYPE);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem
    }

    #[track_caller]
    pub(super) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

pub(super) async fn ask(router: &Router, request: Request<Body>) -> Read {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Read {
        status: parts.status,
        text: match parts.headers.get("content-encoding") {
            Some(encoding) => {
                assert_eq!(encoding, "gzip");
                std::io::read_to_string(flate2::read::GzDecoder::new(&*bytes)).unwrap()
            }
            None => String::from_utf8_lossy(&bytes).into_owned(),
        },
        headers: parts.headers,
    }
}

pub(super) async fn get(router: &Router, path: &str) -> Read {
    ask(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(super) async fn post(router: &Router, path: &str, body: &str) -> Read {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    ask(router, request).await
}

pub(super) const VIDEO: &str = r#"{"camera_id": 7, "path": "/a"}"#;

/// A route whose handler ignores the request, as the attribute would make it.
pub(super) fn plain_route(name: &str, method: axum::http::Method, path: &str) -> RouteDef {
    route(
        name,
        Origin::new("src/main.rs", 12, ""),
        method,
        path,
        None,
        |_| async { StatusCode::OK.into_response() },
        |_| {},
    )
}
