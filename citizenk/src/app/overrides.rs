//! What one run of an app changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::runtime::produce::TopicNames;
use crate::schema::Schemas;

/// What a run may change without changing the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) group: Option<String>,
    pub(crate) names: TopicNames,
    pub(crate) agents: BTreeMap<String, AgentOverride>,
    /// Where the settings say that consumers read more than what is committed.
    pub(crate) uncommitted: BTreeMap<String, String>,
    /// Where the schemas of its topics come from.
    pub(crate) schemas: Schemas,
}

/// `[agents.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgentOverride {
    pub(crate) batch_size: Option<usize>,
    pub(crate) batch_timeout: Option<Duration>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) buffer_bytes: Option<usize>,
    pub(crate) enabled: Option<bool>,
    /// Where the settings say so.
    pub(crate) source: String,
}
