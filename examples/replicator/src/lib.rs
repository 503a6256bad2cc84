//! The Replicator: copies, filters, maps and replays topics between clusters and files.
//!
//! What it decides is in [`domain`], without Kafka and HTTP.

pub use replicator_domain as domain;
