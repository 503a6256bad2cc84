//! What developer commands and the fault tier share: a real Kafka from its own jars, a real schema registry,
//! child processes that end with us, the workspace as cargo reports it, and the one error type of all of them.

pub mod failure;
pub mod kafka;
pub mod process;
pub mod registry;
pub mod workspace;
