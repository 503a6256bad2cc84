//! Which topics an outbox may send to.

use crate::schema::Schemas;
use crate::staging::OutputTopic;
use crate::topic::TopicId;

/// A topic that may be sent to: in the program and on the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputTarget {
    pub(crate) id: TopicId,
    pub(crate) topic: OutputTopic,
}

/// Which topics an outbox may send to; a staged record names its topic by the index here.
#[derive(Clone, Debug)]
pub(crate) struct OutputTable {
    pub(super) targets: Vec<OutputTarget>,
    /// Outboxes made for tests take every topic.
    pub(super) open: bool,
    /// Those of the app.
    pub(crate) schemas: Schemas,
}

impl OutputTable {
    pub(crate) fn new(targets: Vec<OutputTarget>, schemas: Schemas) -> Self {
        Self {
            targets,
            open: false,
            schemas,
        }
    }

    pub(crate) fn targets(&self) -> &[OutputTarget] {
        &self.targets
    }

    pub(crate) fn index_of(&self, id: TopicId) -> Option<usize> {
        self.targets.iter().position(|target| target.id.is(id))
    }
}
