//! The clusters of a running app: how each is reached and what its clients are given.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::TransportError;
use crate::transport::Transport;

/// One cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) consumer_settings: BTreeMap<String, String>,
    pub(crate) producer_settings: BTreeMap<String, String>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({}, {:?})", self.name, self.transport)
    }
}

/// All of them; the one without a name, if it is there, is the first.
#[derive(Clone, Debug)]
pub(crate) struct Clusters {
    first: Cluster,
    more: Arc<[Cluster]>,
}

impl Clusters {
    pub(crate) fn new(first: Cluster, more: Vec<Cluster>) -> Self {
        Self {
            first,
            more: more.into(),
        }
    }

    /// One cluster without a name and without settings.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn unnamed(transport: Arc<dyn Transport>) -> Self {
        let first = Cluster {
            name: crate::config::DEFAULT_CLUSTER,
            transport,
            consumer_settings: BTreeMap::new(),
            producer_settings: BTreeMap::new(),
        };
        Self::new(first, Vec::new())
    }

    /// What is meant where no cluster is named.
    pub(crate) fn first(&self) -> &Cluster {
        &self.first
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Cluster> {
        std::iter::once(&self.first).chain(&*self.more)
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.all().map(|cluster| cluster.name).collect()
    }

    /// # Errors
    /// There is none of this name, which is found when an app is built and when an agent is started.
    pub(crate) fn of(&self, name: &str) -> Result<&Cluster, TransportError> {
        let mut all = self.all();
        all.find(|cluster| cluster.name == name)
            .ok_or_else(|| TransportError {
                context: format!("cluster `{name}`"),
                code: "_INVALID_ARG".to_owned(),
                message: format!(
                    "there is no such cluster; there are {}",
                    self.names().join(", ")
                ),
                retriable: false,
                fatal: true,
            })
    }
}
