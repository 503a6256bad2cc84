//! What all components of a running app share.

use super::{AppInfo, Background, Producer, Reader, Shutdown, StateMap};
use crate::admin::Admin;
use crate::fanout::Streams;
use crate::schema::Schemas;
use crate::telemetry::Metrics;
use crate::time::Clock;

/// Shared by lanes, timers, hooks and routes of one app.
#[derive(Clone, Debug)]
pub(crate) struct Env {
    pub(crate) app: AppInfo,
    pub(crate) states: StateMap,
    pub(crate) producer: Producer,
    pub(crate) schemas: Schemas,
    pub(crate) reader: Reader,
    /// Of the cluster the app runs on.
    pub(crate) admin: Admin,
    pub(crate) background: Background,
    pub(crate) shutdown: Shutdown,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// Values for live clients.
    pub(crate) streams: Streams,
}
