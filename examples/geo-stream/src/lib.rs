//! Positions of things that move: into a topic and out of it over HTTP, and a live map of them.
//!
//! ```text
//! POST /producer/geostream ─▶ topic `geostream` ─▶ /consumer/geostream (websocket, event stream) ─▶ map
//!             simulator ──────────▲
//! ```
//!
//! `cargo run -p geo-stream` needs nothing else: without `KAFKA_BOOTSTRAP_SERVERS` it runs on an embedded
//! broker, where a simulator moves `APP_ENTITIES` ships (6 by default).

mod page;
mod simulator;

use citizenk::http::Bridge;
use citizenk::prelude::*;

pub use simulator::{Fleet, Ship};

/// Where something was at a moment.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// What it is; each name is a line on the map.
    pub name: String,
    /// Tells this message from others.
    pub message_id: String,
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Degrees north.
    #[schemars(range(min = -90.0, max = 90.0))]
    pub lat: f64,
    /// Degrees east.
    #[schemars(range(min = -180.0, max = 180.0))]
    pub lon: f64,
}

/// All positions, by name.
pub const GEOSTREAM: Topic<Position> = Topic::json("geostream");

/// The program's settings: `[app]` or `APP_*`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Options {
    /// How many ships are made up; by default 6 on the embedded broker and none on another.
    pub entities: Option<u32>,
}

/// The whole service; `main` runs it, tests run it without a broker.
#[must_use]
pub fn app() -> App {
    App::new("geo-stream")
        .title("Geo stream")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Positions in and out of a topic, and a live map of them.")
        .settings::<Options>()
        .state_with(async |cx| {
            let options = cx.state::<Options>().unwrap_or_default();
            let default = if cx.is_embedded() { 6 } else { 0 };
            Ok::<_, AgentError>(Fleet::new(options.entities.unwrap_or(default)))
        })
        .bridge(Bridge::new().topic(&GEOSTREAM))
        .register::<simulator::sail>()
        .register::<page::html>()
        .register::<page::main>()
        .register::<page::map>()
        .register::<page::coast>()
        .register::<page::stream>()
        .register::<page::style>()
        .embedded_by_default()
}
