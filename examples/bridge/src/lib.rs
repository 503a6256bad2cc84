//! Bridges between two clusters, built in a form while the service runs.
//!
//! ```text
//! left/orders ─▶ agent `bridge-italy` (filter `country = "IT"`) ─▶ right/orders
//! right/..    ─▶ ..
//! ```
//!
//! `cargo run -p bridge` needs nothing else: without `KAFKA_LEFT_BOOTSTRAP_SERVERS` and
//! `KAFKA_RIGHT_BOOTSTRAP_SERVERS` it runs on two embedded brokers, where a generator fills `left/orders`
//! (`APP_RATE` orders a second). `APP_FILE=bridges.json` keeps the bridges over a restart.

mod agent;
mod api;
mod demo;
mod filter;
mod page;
mod store;

use citizenk::prelude::*;

pub use api::{Bridge, BridgeStatus, ClusterTopics, Start};
pub use demo::{COPIES, ORDERS, Order};
pub use filter::Filter;

/// The program's settings: `[app]` or `APP_*`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Options {
    /// Orders a second that are made up on `left/orders`; 0 switches that off.
    pub rate: u32,
    /// A JSON file with the bridges: read at start, written at every change.
    pub file: Option<std::path::PathBuf>,
}

/// The whole service; `main` runs it, tests run it without a broker.
#[must_use]
pub fn app() -> App {
    App::new("bridge")
        .title("Bridge")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Copies records between topics of two clusters, while it runs.")
        .cluster("left")
        .cluster("right")
        .topic(&ORDERS)
        .topic(&COPIES)
        .settings::<Options>()
        .state_with(async |cx| store::Bridges::load(cx.state::<Options>().unwrap_or_default()))
        .register::<api::clusters>()
        .register::<api::list>()
        .register::<api::start>()
        .register::<api::pause>()
        .register::<api::resume>()
        .register::<api::stop>()
        .register::<page::html>()
        .register::<page::script>()
        .register::<page::style>()
        .register::<store::restore>()
        .register::<demo::generate>()
        .embedded_by_default()
}
