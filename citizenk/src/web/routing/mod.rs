//! Requests that belong to one worker, or to all.
//!
//! In: requests for functions with `#[citizenk::topic_router]` or `#[citizenk::broadcast_router]`. Out: their
//! answer, made here or by the worker that has the key's partition, or merged from all. Who that is says the
//! broker, or every worker itself ([`workers`]); whether a request goes there is decided by data ([`owner`]);
//! that it comes from a worker is vouched for by a code ([`sign`]). A request goes one hop at most: a worker
//! that gets a forwarded one answers it or says that it is not its own.

mod carrier;
mod gather;
mod merge;
mod owner;
mod question;
mod sign;
mod topic;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(crate) use self::carrier::Carrier;
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::carrier::{Carried, Lost};
use self::gather::FAILED;
pub use self::merge::{JointAnswer, Merge, MergeFn, merging};
pub(crate) use self::owner::Peer;
use self::sign::Hop;
pub(crate) use self::sign::Key;
pub(crate) use self::workers::{Neighbourhood, OWNED, Workers};
use super::Problem;
use super::describe::Operation;
use super::extract::{Json, read_body};
use super::route::{Handler, RouteDef, own_page};
use super::server::Client;
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;

/// The header of a forwarded request; nobody but a worker can make one that is believed.
pub(super) const HOP: &str = "citizenk-hop";
/// In the answer to a forwarded request: it was not carried out, another worker has the partition.
const NOT_MINE: &str = "citizenk-not-mine";
/// How long a request may take on its way and back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a router's key stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// A parameter of the path, or of the query string.
    Parameter(String),
    /// A field of the JSON body.
    Body(String),
}

impl KeyPlace {
    fn name(&self) -> &str {
        match self {
            Self::Parameter(name) | Self::Body(name) => name,
        }
    }
}

/// Whose requests they are.
#[derive(Clone, Debug)]
pub(crate) struct RoutingSpec {
    pub(crate) to: Goal,
    /// Whose group counts, where there are several.
    pub(crate) agent: Option<String>,
    /// Headers that go along, beside those that always do.
    pub(crate) headers: Vec<HeaderName>,
    /// Resolved when the app is assembled.
    pub(crate) group: Option<(&'static str, String)>,
    /// Agents of the group come while the app runs; its name is empty where there is none.
    pub(crate) late: bool,
}

impl RoutingSpec {
    /// What clients are told besides what the function answers.
    pub(super) fn document(&self, operation: &mut Operation) {
        match &self.to {
            Goal::Owner { .. } => {
                operation.problem("400", "The key or another part of the request is malformed");
                operation.problem(
                    "502",
                    "The worker that has the key broke off; the request may have been carried out",
                );
                operation.problem(
                    "503",
                    "No worker is known to have the key now; nothing was carried out, try again",
                );
                operation.problem(
                    "504",
                    "The worker that has the key did not answer in time; the request may have been carried out",
                );
            }
            Goal::All { merge } => {
                operation.problem("503", "No worker can be asked now; try again");
                let successes = operation.responses.iter_mut();
                for (_, response) in successes.filter(|(status, _)| status.starts_with('2')) {
                    // The JSON of what the function answers, or a list of what each worker's said.
                    let schema = &mut response["content"]["application/json"]["schema"];
                    if merge.is_none() {
                        *schema = serde_json::json!({ "type": "array", "items": {
                            "type": "object",
                            "properties": {
                                "worker": { "type": "string" },
                                "answer": schema.take(),
                                "error": { "type": "string" }
                            },
                            "required": ["worker"]
                        } });
                    }
                    response["headers"] = serde_json::json!({ FAILED: {
                        "description": "Addresses of workers whose part is missing, if there are any",
                        "schema": { "type": "string" }
                    } });
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// The worker that has the key's partition.
    Owner {
        topic: Box<TopicInfo>,
        /// Its name on the broker; resolved when the app is assembled.
        real: String,
        key: KeyPlace,
    },
    /// Every worker.
    All {
        /// `None`: a list of what each says.
        merge: Option<MergeFn>,
    },
}

/// Makes a route follow a topic's partitions; the attribute's code calls this.
#[must_use]
pub fn topic_router<V: 'static, K: 'static>(
    route: RouteDef,
    topic: &Topic<V, K>,
    key: KeyPlace,
    agent: Option<&str>,
    headers: &[&'static str],
) -> RouteDef {
    let info = TopicInfo::of(topic);
    let goal = Goal::Owner {
        real: info.name.to_owned(),
        topic: Box::new(info),
        key,
    };
    routed(route, goal, agent, headers)
}

/// Makes a route ask all workers; the attribute's code calls this.
#[must_use]
pub fn broadcast_router(
    route: RouteDef,
    merge: Option<MergeFn>,
    agent: Option<&str>,
    headers: &[&'static str],
) -> RouteDef {
    routed(route, Goal::All { merge }, agent, headers)
}

fn routed(
    mut route: RouteDef,
    to: Goal,
    agent: Option<&str>,
    headers: &[&'static str],
) -> RouteDef {
    route.routing = Some(RoutingSpec {
        to,
        agent: agent.map(str::to_owned),
        // The attribute has looked at them.
        headers: headers
            .iter()
            .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
            .collect(),
        group: None,
        late: false,
    });
    route
}

/// Answers a request for a routed function.
pub(super) async fn serve(spec: Arc<RoutingSpec>, handler: Handler, request: Request) -> Response {
    let found = request.extensions().get::<Arc<Workers>>().cloned();
    let (Some(workers), Some(group)) = (found, spec.group.clone()) else {
        return Problem::internal("the router is not served by a citizenk app").into_response();
    };
    // Who claims to be a worker has to prove it below.
    if !request.method().is_safe()
        && !request.headers().contains_key(HOP)
        && let Err(problem) = own_page(request.extensions(), request.headers())
    {
        return problem.into_response();
    }
    let (parts, body) = request.into_parts();
    let bytes = match read_body(Request::from_parts(parts.clone(), body)).await {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let call = Call {
        spec: &spec,
        handler,
        workers: &workers,
        group,
        parts,
        bytes,
    };
    let answered = match call.is_forwarded() {
        Err(problem) => Err(problem),
        Ok(forwarded) => match &spec.to {
            Goal::Owner { topic, real, key } => {
                topic::answer(call, topic, real, key, forwarded).await
            }
            Goal::All { .. } if forwarded => Ok(call.here().await),
            Goal::All { merge } => gather::answer(call, *merge).await,
        },
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// One request.
struct Call<'a> {
    spec: &'a RoutingSpec,
    handler: Handler,
    workers: &'a Arc<Workers>,
    group: (&'static str, String),
    parts: Parts,
    bytes: Bytes,
}

/// Headers that go along with every request.
const ALONG: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];
/// Headers that come back with every answer.
const BACK: [HeaderName; 18] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::LOCATION,
    header::RETRY_AFTER,
    header::VARY,
    // What a page may do: a page of another worker may do no more than one made here.
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    HeaderName::from_static("cross-origin-embedder-policy"),
    HeaderName::from_static("cross-origin-opener-policy"),
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderName::from_static("permissions-policy"),
    header::REFERRER_POLICY,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_FRAME_OPTIONS,
];

impl Call<'_> {
    fn target(&self) -> &str {
        self.parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
    }

    /// Whether another worker sent it; a client that claims so is refused.
    fn is_forwarded(&self) -> Result<bool, Problem> {
        checked(
            &self.workers.hood.key,
            self.parts.method.as_str(),
            self.target(),
            &self.bytes,
            &self.parts.headers,
            &self.parts.extensions,
        )
    }

    async fn here(&self) -> Response {
        let request = Request::from_parts(self.parts.clone(), Body::from(self.bytes.clone()));
        (self.handler)(request).await
    }

    /// The same request for another worker.
    fn forwarded(&self, peer: &Peer) -> Result<axum::http::Request<Bytes>, Problem> {
        let declared = self.spec.headers.iter();
        let declared: Vec<(&str, &[u8])> = declared
            .filter_map(|name| Some((name.as_str(), self.parts.headers.get(name)?.as_bytes())))
            .collect();
        let hop = hop_header(
            &self.workers.hood.key,
            self.parts.method.as_str(),
            self.target(),
            &self.bytes,
            now(),
            declared,
        );
        let mut request = axum::http::Request::builder()
            .method(self.parts.method.clone())
            .uri(format!("{}{}", peer.prefix, self.target()))
            // Workers are reached by address, whatever names the service has.
            .header(header::HOST, "localhost")
            .header(HOP, hop);
        for name in ALONG.iter().chain(&self.spec.headers) {
            if let Some(value) = self.parts.headers.get(name) {
                request = request.header(name, value);
            }
        }
        let body = self.bytes.clone();
        request.body(body).map_err(Problem::internal)
    }
}

/// Another worker's answer, for a client.
fn passed_on(answer: axum::http::Response<Bytes>) -> Response {
    let (parts, body) = answer.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = parts.status;
    for name in &BACK {
        for value in parts.headers.get_all(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn hop_header(
    key: &Key,
    method: &str,
    target: &str,
    body: &[u8],
    time: i64,
    headers: Vec<(&str, &[u8])>,
) -> String {
    key.sign(&Hop {
        method,
        target,
        body,
        time,
        headers,
    })
}

/// Whether a request was forwarded; an error if it only says so.
fn checked(
    key: &Key,
    method: &str,
    target: &str,
    body: &[u8],
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<bool, Problem> {
    let mut given = headers.get_all(HOP).iter();
    let Some(value) = given.next() else {
        return Ok(false);
    };
    // Without a secret everybody can make one, so it proves no more than that it comes from this machine.
    let client = extensions.get::<Client>();
    if key.is_empty() && !client.is_none_or(|client| client.0.to_canonical().is_loopback()) {
        return Err(Problem::forbidden(
            "without CITIZENK_CLUSTER_SECRET workers believe workers of their own machine only",
        ));
    }
    let text = value.to_str().ok().filter(|_| given.next().is_none());
    let hop = Hop {
        method,
        target,
        body,
        time: 0,
        headers: Vec::new(),
    };
    let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    let refused = text.ok_or("the header of a forwarded request is not text");
    match refused.and_then(|text| key.check(text, now(), hop, header)) {
        Ok(()) => Ok(true),
        Err(reason) => Err(Problem::forbidden(reason)),
    }
}

/// What this worker has, for another one.
pub(super) async fn owned(
    axum::extract::State(workers): axum::extract::State<Arc<Workers>>,
    axum::extract::Path((cluster, group)): axum::extract::Path<(String, String)>,
    request: Request,
) -> Response {
    let target = request.uri().path_and_query().map_or("/", |t| t.as_str());
    let key = &workers.hood.key;
    match checked(
        key,
        request.method().as_str(),
        target,
        b"",
        request.headers(),
        request.extensions(),
    ) {
        Err(problem) => problem.into_response(),
        Ok(false) => Problem::forbidden("workers alone ask for this").into_response(),
        Ok(true) => match workers.service.owned(&cluster, &group) {
            None => workers::unknown("the service is not running yet").into_response(),
            Some(partitions) => Json(workers::Owned {
                partitions: partitions
                    .into_iter()
                    .map(|partition| (partition.topic.to_string(), partition.partition))
                    .collect(),
            })
            .into_response(),
        },
    }
}

/// The answer to a forwarded request that another worker should have got.
fn not_mine() -> Response {
    let text = "another worker has the partition of this key by now";
    let mut response = Problem::new(StatusCode::MISDIRECTED_REQUEST, text).into_response();
    response
        .headers_mut()
        .insert(NOT_MINE, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_secret_workers_of_this_machine_alone_are_believed() {
        for (key, believed) in [(Key::default(), false), (Key::new("secret"), true)] {
            let hop = hop_header(&key, "GET", "/a", b"", now(), Vec::new());
            let mut headers = HeaderMap::new();
            headers.insert(HOP, hop.parse().unwrap());
            let check = |address: Option<&str>| {
                let mut extensions = Extensions::new();
                if let Some(address) = address {
                    extensions.insert(Client(address.parse().unwrap()));
                }
                checked(&key, "GET", "/a", b"", &headers, &extensions)
            };
            for here in [
                None,
                Some("127.0.0.1"),
                Some("::1"),
                Some("::ffff:127.0.0.1"),
            ] {
                assert!(check(here).unwrap(), "{here:?}");
            }
            for there in ["10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"] {
                let answer = check(Some(there));
                assert_eq!(answer.is_ok(), believed, "{there}");
                if let Err(problem) = answer {
                    assert_eq!(problem.status(), StatusCode::FORBIDDEN);
                    assert!(problem.detail().contains("CITIZENK_CLUSTER_SECRET"));
                }
            }
        }
    }
}
