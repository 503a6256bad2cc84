//! Agents as resolved for one run: names on the broker, policies, output tables.

use std::sync::Arc;

use crate::agent::AgentSpec;
use crate::extract::OutputTable;
use crate::policy::Policy;

/// One agent of a running app.
#[derive(Debug)]
pub(crate) struct AgentPlan {
    pub(crate) spec: AgentSpec,
    /// For messages: "agent `orders`".
    pub(crate) component: String,
    /// The modules it stands in, joined by `/`; empty: none.
    pub(crate) module: String,
    /// `None`: reads without a group.
    pub(crate) group: Option<String>,
    /// The topics' names on the broker, in the order of `spec.topics`.
    pub(crate) real_topics: Vec<Arc<str>>,
    pub(crate) start_latest: bool,
    pub(crate) on_decode: Policy,
    pub(crate) on_error: Policy,
    pub(crate) on_produce: Policy,
    /// Everything the agent may write: output, sends, dead-letter topics.
    pub(crate) table: Arc<OutputTable>,
}
