//! Real Apache Kafka on this machine: its own jars, KRaft combined mode, one or three nodes.
//!
//! `kafka up` starts a cluster that stays until `kafka down`; [`Kafka::start_temporary`] starts one
//! for a single command and stops it on drop. Both live in a folder of their own below
//! `target/kafka`, with a `state.json` that names every process, so that whatever outlived its
//! owner is found and ended later: by its id, and only after checking that it is that Kafka.

pub(crate) mod cluster;
mod commands;
pub(crate) mod config;
pub(crate) mod dist;
mod secured;
pub(crate) mod state;
mod temporary;
mod tools;

pub use commands::{Command, run};
pub use dist::{INSTALL_JAVA, INSTALL_MAVEN, classes, mirror_maker};
pub use temporary::Kafka;

/// What programs read to find their cluster.
pub const BOOTSTRAP_VARIABLE: &str = "KAFKA_BOOTSTRAP_SERVERS";
