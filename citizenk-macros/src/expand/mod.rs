//! Models to code.
//!
//! In: a validated model. Out: the user's item as it was, and the code beside it. One file per attribute;
//! [`common`] has what all of them emit.

pub(crate) mod agent;
pub(crate) mod avro;
pub(crate) mod common;
pub(crate) mod hook;
pub(crate) mod message;
pub(crate) mod module;
pub(crate) mod policy;
pub(crate) mod route;
pub(crate) mod router;
pub(crate) mod timer;
pub(crate) mod websocket_in;
