//! A real schema registry on this machine: Apicurio Registry by the API that Confluent's has, in memory.
//!
//! As with Kafka, `registry up` starts one that stays until `registry down`; [`Registry::start_temporary`] one for a
//! single command. Each lives in a folder of its own below `target/registry`, with a `state.json` that names its
//! process, so that whatever outlived its owner is found and ended later: by its id, and only after checking that it
//! is that registry.

mod commands;
mod dist;
mod server;

pub use commands::{Command, run};
pub use server::Registry;

/// What programs read to find their registry.
pub const URL_VARIABLE: &str = "SCHEMA_REGISTRY_URL";
