//! What a record's bytes say about their schema, and who knows that schema.
//!
//! In: a record's bytes ([`Frame`]), or a value on its way to a topic. Out: the schema they were written with,
//! from a [`SchemaSource`] (a registry, or the process itself). `Schemas` belongs to an app; it has one
//! `Wire` per topic and side (key or value), which remembers what was looked up, so that the next record
//! asks nobody. Nothing here waits: what is not known yet is a [`DecodeError`](crate::DecodeError) with
//! [`missing_schema`](crate::DecodeError::missing_schema), and the lane, which may wait, fetches it.

#[cfg(feature = "avro")]
pub(crate) mod avro;
#[cfg(all(feature = "strict-json", any(feature = "web", feature = "cli")))]
mod embed;
mod frame;
pub(crate) mod json;
mod list;
mod local;
mod source;
mod strategy;
#[cfg(feature = "strict-json")]
mod strict;
mod wire;

pub use crate::config::SchemaMode;
pub use crate::error::SchemaId;
pub use frame::{Frame, FrameError};
pub(crate) use frame::{Named, Payload};
pub(crate) use list::AppendList;
pub use local::LocalSchemas;
pub use source::{
    Fetched, OwnSchema, ResolvedReference, SchemaError, SchemaKind, SchemaSource, SchemaText, Side,
};
pub use strategy::SubjectStrategy;
#[cfg(feature = "strict-json")]
pub(crate) use strict::{Compiled, Rules};
pub(crate) use wire::{SchemaFn, Schemas, ValueSchema, Wire, WireOptions, WireSpec};
