//! The floor: what the same work costs when it is written by hand on librdkafka's C interface.
//!
//! In: a topic and the shared settings. Out: counted records. One thread, no framework, no future, no
//! abstraction beyond what frees the handles: a contestant that comes near it wastes nothing. Also the
//! mock broker that runs without `--real` stand on, which needs the C interface too.
#![allow(
    unsafe_code,
    reason = "the floor is librdkafka's C interface called directly; nothing else in this crate calls it"
)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::error::Error;

mod client;
mod consume;
mod copy;
mod echo;
mod mock;
mod produce;
mod transform;

pub(crate) use consume::consume;
pub(crate) use copy::copy;
pub(crate) use echo::echo;
pub(crate) use mock::MockBroker;
pub(crate) use produce::{fill, produce};
pub(crate) use transform::transform;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;
