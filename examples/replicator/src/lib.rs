//! The Replicator: copies, filters, maps and replays topics between clusters and files.
//!
//! ```text
//! source cluster ─▶ agents ─▶ rules of the mapping ─▶ target cluster
//!          files ─▶ replay ─┘                      └─▶ files
//! ```
//!
//! What it decides is in [`domain`], without Kafka and HTTP. `engine` lets run what the configuration says.

mod api;
mod bytes;
mod demo;
mod engine;
mod fetching;
mod stats;
mod store;
mod ui;

pub use bytes::KeyBytes;
pub use replicator_domain as domain;

use citizenk::Agents;
use citizenk::prelude::*;
use domain::env::Options;

use engine::{Engine, Tools};

/// Starts what the configuration says.
#[citizenk::on_event(startup)]
async fn start(
    State(engine): State<Engine>,
    agents: Agents,
    admin: Admin,
    producer: Producer,
    background: Background,
    clock: Clock,
) {
    let tools = Tools {
        agents,
        admin,
        producer,
        clock,
    };
    engine.start(tools, &background);
}

/// The service as its variables say, with the command line every `citizenk` program has. Without clusters and
/// files of your own it is a demonstration on two embedded clusters.
pub fn run() -> citizenk::Exit {
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let vars = std::env::vars_os().filter_map(utf8).collect();
    match domain::env::translate(&vars) {
        Ok((_, variables)) if demo::is_wanted(&vars) => demo::run(variables),
        Ok((options, mut variables)) => {
            fetching::set(&options, &mut variables);
            citizenk::run(app(options).environment(variables))
        }
        Err(errors) => {
            for error in errors {
                eprintln!("error: {error}");
            }
            citizenk::Exit::USAGE
        }
    }
}

/// The whole service; `main` runs it, tests run it without a broker.
#[must_use]
pub fn app(options: Options) -> App {
    let mut app = App::new("replicator")
        .title("Replicator")
        .version(env!("CARGO_PKG_VERSION"))
        .description("Copies, filters, maps and replays topics between clusters and files.");
    if options.has_source {
        app = app.cluster("source");
    }
    if options.has_target {
        app = app.cluster("target");
    }
    let group = options.group.clone();
    app.workers_of("source", group.as_deref())
        .state(Engine::new(options))
        .include(api::module())
        .routes(ui::routes())
        .register::<start>()
}
