//! Runs agents: from the polling thread to the committed offset.
//!
//! In: plans of agents and a transport. Out: handler calls, outputs, commits. Data flows one way
//! (ARCHITECTURE.md); the only thing that flows back is a command to the polling thread.

pub(crate) mod ack;
pub(crate) mod agents;
pub(crate) mod clusters;
mod commit;
pub(crate) mod crew;
pub(crate) mod dispatch;
pub(crate) mod engine;
mod fan;
pub(crate) mod heart;
mod joint;
pub(crate) mod lane;
pub(crate) mod limits;
mod place;
pub(crate) mod plan;
pub(crate) mod produce;
pub(crate) mod read;
pub(crate) mod seat;
pub(crate) mod stall;
mod start;
pub(crate) mod status;
pub(crate) mod supervisor;
pub(crate) mod task;
pub(crate) mod transact;
pub(crate) mod worker;
