//! Topics over HTTP, chosen by name when a client comes: records in, records out.
//!
//! In: the topics a [`Bridge`] allows, and requests that name one. Out: endpoints like any other (`RouteDef`).
//! A client's connection owns its [`cursor`], which owns its place in the topic: it reads from Kafka until it is
//! where the topic's [`hub`] is (the one consumer all live clients of a topic share), and from there what the
//! hub gives. Nothing is committed and no group is joined.
//!
//! ```text
//! client ─▶ cursor ─ behind ─▶ read of its own, one of a few ──▶ client
//!              └──── live ───▶ hub (one read per topic) ─ ring ─▶ client
//! ```

mod cursor;
mod document;
mod events;
mod hub;
mod places;
mod produce;
mod slot;
mod socket;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

pub(crate) use hub::Hubs;

use super::asyncapi::{LiveDoc, LiveMessages};
use super::route::{RouteDef, described};
use super::{Path, Problem};
use crate::agent::Origin;
use crate::error::DecodeError;
use crate::extract::{Read, Reader};
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;

/// How many clients may read what was written before they came, at the same time.
const CATCH_UP: usize = 16;

/// Endpoints for topics that clients choose by name: `POST /producer/{topic}`, and `/consumer/{topic}` as
/// websocket and event stream.
///
/// Only the topics given can be reached. Add it with [`App::bridge`](crate::App::bridge).
///
/// ```
/// use citizenk::http::Bridge;
/// use citizenk::prelude::*;
///
/// #[citizenk::message]
/// struct Position { name: String, lat: f64, lon: f64 }
///
/// const POSITIONS: Topic<Position> = Topic::json("positions");
///
/// let app = App::new("fleet").bridge(Bridge::new().topic(&POSITIONS));
/// # app.check().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "it does nothing before `App::bridge`"]
pub struct Bridge {
    /// Tells it from others of the process.
    id: u64,
    topics: Vec<Arc<BridgeTopic>>,
    prefix: String,
    catch_up: usize,
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.topics.iter().map(|topic| topic.info.name);
        f.debug_struct("Bridge")
            .field("topics", &names.collect::<Vec<_>>())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Default for Bridge {
    fn default() -> Self {
        Self::new()
    }
}

/// Begins a read of values as JSON.
type OpenRead = dyn Fn(&Reader) -> Read<Option<Bytes>> + Send + Sync;

/// A topic clients may name.
struct BridgeTopic {
    info: TopicInfo,
    /// A read of its values as JSON.
    read: Box<OpenRead>,
}

impl Bridge {
    /// A bridge to no topic yet.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            topics: Vec::new(),
            prefix: String::new(),
            catch_up: CATCH_UP,
        }
    }

    /// Lets clients write to and read from a topic. What they send is checked as the topic's own type; what
    /// they get is the value as JSON, whatever the topic's format. For topics of any JSON use
    /// `Topic<serde_json::Value>`, for names known only at run time [`Topic::named`].
    pub fn topic<V, K>(mut self, topic: &Topic<V, K>) -> Self
    where
        V: Serialize + Send + Sync + 'static,
        K: Send + Sync + 'static,
    {
        let topic = *topic;
        let json = |value: V| {
            let json = serde_json::to_vec(&value);
            let json = json.map_err(|error| DecodeError::new("json", error))?;
            Ok(Bytes::from(json))
        };
        self.topics.push(Arc::new(BridgeTopic {
            info: TopicInfo::of(&topic),
            read: Box::new(move |reader| reader.topic(&topic).and_then(json).tombstones()),
        }));
        self
    }

    /// Put in front of the paths; starts with `/`. Default: none.
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How many clients may read what was written before they came at the same time, each with a consumer of
    /// its own; more get a 503. Default 16. Clients that read what is written now share one consumer per
    /// topic and are not counted.
    pub fn catch_up(mut self, clients: usize) -> Self {
        self.catch_up = clients;
        self
    }

    /// Its endpoints.
    pub(crate) fn routes(self) -> [RouteDef; 2] {
        let bridge = Arc::new(self);
        let origin = |doc| Origin::new(file!(), line!(), doc);
        let (posted, documented) = (bridge.clone(), bridge.clone());
        let mut producer = described(
            "bridge_producer",
            origin(
                "Sends a record to a topic.\n\nAnswered when the broker has acknowledged the record.",
            ),
            Method::POST,
            "/producer/{topic}",
            move |request| {
                let bridge = posted.clone();
                async move { answered(produce::answer(&bridge, request).await) }
            },
            move |operation| document::producer(operation, &documented.topics),
        );
        producer.secured = true;
        producer.sends = bridge.topics.iter().map(|t| t.info.clone()).collect();
        let (read, documented) = (bridge.clone(), bridge.clone());
        let mut consumer = described(
            "bridge_consumer",
            origin(
                "The records of a topic, as they come: a websocket where the client asks for one, else an event stream.\n\nEach client has a place of its own; nothing is committed.",
            ),
            Method::GET,
            "/consumer/{topic}",
            move |request| {
                let bridge = read.clone();
                async move { answered(consume(&bridge, request).await) }
            },
            move |operation| document::consumer(operation, &documented.topics),
        );
        let topics = bridge.topics.iter();
        let topics = topics.map(|topic| topic.info.clone());
        consumer.live = Some(LiveDoc {
            websocket: true,
            events: true,
            messages: LiveMessages::Records(topics.collect()),
        });
        [producer, consumer].map(|route| RouteDef {
            tag: Some("Bridge".to_owned()),
            ..route.prefixed(&bridge.prefix)
        })
    }

    fn find(&self, name: &str) -> Result<&Arc<BridgeTopic>, Problem> {
        let found = self.topics.iter().find(|topic| topic.info.name == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self.topics.iter().map(|topic| topic.info.name).collect();
            super::auto::unknown("bridge to a topic", name, &known).with("topics", known)
        })
    }
}

fn answered(answer: Result<Response, Problem>) -> Response {
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// The topic a request names.
async fn named(request: &mut axum::http::request::Parts) -> Result<String, Problem> {
    use axum::extract::FromRequestParts as _;
    let Path(name) = Path::<String>::from_request_parts(request, &()).await?;
    Ok(name)
}

async fn consume(bridge: &Bridge, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let name = named(&mut parts).await?;
    let env = super::stream::admitted(&parts)?.clone();
    let topic = bridge.find(&name)?;
    let wanted = cursor::Wanted::of(&parts, env.clock.now())?;
    let hubs = env
        .states
        .get::<Hubs>()
        .ok_or_else(|| Problem::internal("the bridge was not added with `App::bridge`"))?;
    let pool = hubs.pool(bridge.id, bridge.catch_up);
    let hub = hubs.hub(bridge.id, topic, &env).await?;
    let cursor = cursor::Cursor::open(topic.clone(), &env, hub, wanted, &pool).await?;
    if super::stream::wants_websocket(&parts) {
        socket::answer(parts, cursor, env.shutdown).await
    } else {
        Ok(events::answer(cursor, env.shutdown))
    }
}
