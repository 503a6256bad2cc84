//! The web API of a service.
//!
//! In: the app's facts and actions ([`port::Service`]), annotated routes ([`RouteDef`]), routers and
//! layers of its own ([`Routes`], [`WebLayer`]), settings ([`WebConfig`]). Out: a checked [`WebPlan`],
//! from it the OpenAPI document and one router, and from that a [`Server`] on its own thread, or answers
//! to a test without a socket. The app owns the plan and the server; a request belongs to the server's
//! connection, a user handler's work to the runtime all user code shares.
//!
//! ```text
//! Bound ─ serve ─▶ connection ─▶ host names ─▶ limit ─▶ automatic endpoints ─▶ Service
//!                                    │                └▶ (other runtime) layers ─▶ user routes
//!                                    └ health: neither names nor limit
//! ```

mod arguments;
mod assemble;
mod asyncapi;
mod auto;
mod bridge;
mod config;
mod describe;
mod errors;
mod extract;
mod guard;
mod observe;
mod offload;
mod openapi;
mod port;
mod problem;
mod route;
mod routers;
mod routing;
mod server;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use assemble::{Attach, Surroundings, WebPlan};
pub use bridge::Bridge;
pub(crate) use bridge::Hubs;
pub(crate) use config::{Token, WebConfig};
pub use describe::{
    ApiInput, ApiOutput, InputProbe, NoInputProbe, NoOutputProbe, Operation, OutputProbe, Probe,
};
pub use extract::{Json, Path, Query};
pub(crate) use guard::Exposure;
pub(crate) use port::{
    AgentCall, AgentDoc, Answer, CallReport, ClusterDoc, Condition, GroupMember, License,
    ProduceRequest, RouteDoc, Service, ServiceInfo, TaskDoc, TopicDoc,
};
pub use problem::Problem;
pub use route::{HttpAnswer, HttpArgument, HttpPart, RouteDef, last, part, respond, route};
pub use routers::Routes;
pub(crate) use routers::WebLayer;
#[cfg(any(test, feature = "testing"))]
pub(crate) use routing::{Carried, Carrier, Lost, Peer};
pub(crate) use routing::{Goal, Key, Neighbourhood};
pub use routing::{JointAnswer, KeyPlace, Merge, MergeFn, broadcast_router, merging, topic_router};
pub(crate) use server::{Bound, Server};
pub use stream::{IncomingMessage, IntoPair, stream_filter, websocket_in};
#[cfg(any(test, feature = "testing"))]
pub(crate) use stream::{TestPipe, TestUpgrade};
pub(crate) use stream::{check as stream_issues, routes as stream_routes};
