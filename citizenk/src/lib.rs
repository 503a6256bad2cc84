//! Reactive, typed, asynchronous Kafka microservices with a documented web API.

#![warn(missing_debug_implementations)]
// What only a feature uses is looked for in the build that has them all.
#![cfg_attr(
    not(all(
        feature = "web",
        feature = "cli",
        feature = "testing",
        feature = "registry"
    )),
    allow(dead_code, unused_imports)
)]

pub mod admin;
mod agent;
mod app;
pub mod codec;
mod config;
mod error;
pub mod extract;
mod fanout;
#[cfg(any(feature = "oauth", feature = "registry"))]
mod fetch;
mod lifecycle;
mod message;
pub mod middleware;
mod policy;
mod record;
#[cfg(feature = "registry")]
pub mod registry;
mod runtime;
pub mod schema;
mod staging;
mod suggest;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
mod timer;
mod topic;
mod transport;
#[cfg(feature = "web")]
mod web;

pub use admin::Admin;
pub use app::{App, Component, Module, Service, StateContext, TokenContext, run};
pub use codec::{KeyCodec, RawBytes};
pub use config::{Flags, Printable, SecurityFlags, Settings};
pub use error::{
    AgentError, BuildError, BuildIssue, ConfigError, DecodeError, EncodeError, Exit, FailureKind,
    IntoAgentError, ResultExt, RunError, TransportError, UnknownCluster,
};
pub use fanout::SlowClient;
pub use message::Message;
pub use record::{Headers, Timestamp, TopicPartition};
pub use time::Clock;
pub use topic::{Direction, InputTopic, Partitioner, Topic};
pub use transport::BrokerKind;
pub use transport::oauth::OauthToken;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use agent::{
    AgentBuilder, Batch, BatchOutcome, Event, IntoOutcome, IntoOutput, IntoStream, Outcome,
    RawRecord, RawRecords, Undecoded,
};
pub use extract::{
    AgentInfo, AppInfo, Background, Forwarding, Key, Meta, Outbox, OutboxError, Partitions,
    Position, PositionError, ProduceError, Producer, Progress, Read, ReadError, Reader,
    RecordStream, Sending, Sent, Shutdown, ShutdownTrigger, State,
};
pub use policy::{Guarantee, Policy};
pub use runtime::agents::{AgentHandle, AgentState, AgentStatus, Agents, AgentsError, ReadFrom};
pub use runtime::lane::{Agent, AgentDef};

/// Avro: what fields are written as, and values without a Rust type.
#[cfg(feature = "avro")]
pub mod avro {
    pub use crate::schema::avro::{
        AsString, AvroCodec, AvroReader, AvroRecord, AvroSchema, AvroType, AvroValue,
        AvroValueCodec, AvroValueReader, AvroWith, Decimal, Micros, SchemaBuilder, rust_source,
    };
}

/// The command line, for programs with commands of their own.
#[cfg(feature = "cli")]
pub mod cli {
    pub use crate::app::cli::{Command, RunArgs, SchemasArgs, SendArgs, TailArgs};
}

/// OpenTelemetry traces, for programs with a `tracing` subscriber of their own; those that start with
/// [`run`] need nothing of this.
///
/// The crates are those the library works with: a layer of another version would see no spans' parents.
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// # async fn start() -> Result<(), citizenk::RunError> {
/// // As the `OTEL_*` variables say; any other `SdkTracerProvider` does as well.
/// let provider = citizenk::otel::tracer_provider("orders")?;
/// tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer())
///     .with(provider.as_ref().map(citizenk::otel::layer))
///     .init();
/// // .. run, and at the end, so that the last spans leave:
/// if let Some(provider) = provider {
///     let _ = provider.shutdown();
/// }
/// # Ok(()) }
/// ```
#[cfg(feature = "otel")]
pub mod otel {
    pub use crate::telemetry::trace::export::{layer, tracer_provider};
    pub use {opentelemetry, opentelemetry_sdk, tracing_opentelemetry};
}

#[cfg(feature = "web")]
pub use web::Problem;

/// What HTTP handlers take and answer.
#[cfg(feature = "web")]
pub mod http {
    pub use crate::web::{
        ApiInput, ApiOutput, Bridge, Json, Merge, Operation, Path, Problem, Query, Routes,
    };
}

/// What handlers return: any error becomes an [`AgentError`].
pub type Result<T, E = AgentError> = std::result::Result<T, E>;

pub use citizenk_macros::*;

/// What a service's source files usually need: `use citizenk::prelude::*;`.
pub mod prelude {
    pub use chrono::{DateTime, Utc};

    #[cfg(feature = "web")]
    pub use crate::http::{Json, Path, Problem, Query};

    pub use crate::{
        Admin, AgentError, AgentInfo, App, AppInfo, Background, Batch, BatchOutcome, BuildIssue,
        Clock, Event, Headers, Key, Meta, Module, Outbox, Outcome, Partitions, Producer, RawBytes,
        ResultExt, Shutdown, State, Topic,
    };
}
