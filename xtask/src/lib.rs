//! What developer commands and the fault tier share: a real Kafka from its own jars, child processes
//! that end with us, the workspace as cargo reports it, and the one error type of all of them.

pub mod failure;
pub mod kafka;
pub mod process;
pub mod workspace;
