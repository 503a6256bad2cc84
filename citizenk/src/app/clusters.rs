//! The clusters of one run: those the app names, as the settings say they are reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{App, Assembled};
use crate::config::{
    Broker, ClusterView, DEFAULT_CLUSTER, Settings, check_cluster_name, servers_variable,
};
use crate::error::{ConfigError, RunError};
use crate::runtime::clusters::{Cluster, Clusters};
use crate::suggest::did_you_mean;
use crate::topic::interned;
use crate::transport::Transport;
use crate::transport::rdkafka::{EmbeddedOptions, KafkaTransport};

impl Assembled {
    /// Whether a component names a topic of the cluster without a name.
    fn uses_unnamed(&self) -> bool {
        let topics = self.topics.values().map(|topic| topic.cluster);
        let agents = self.agents.iter().map(|agent| agent.plan.cluster);
        topics.chain(agents).any(|name| name == DEFAULT_CLUSTER)
    }
}

impl App {
    /// The names of the clusters that a run with these settings has; the one without a name first.
    pub(crate) fn cluster_names(
        &self,
        assembled: &Assembled,
        settings: &Settings,
    ) -> Vec<&'static str> {
        let unnamed = self.clusters.is_empty()
            || assembled.uses_unnamed()
            || matches!(settings.broker.value, Broker::Cluster(_));
        let unnamed = unnamed.then_some(DEFAULT_CLUSTER);
        unnamed
            .into_iter()
            .chain(self.clusters.iter().copied())
            .collect()
    }

    /// What is missing or too much in the settings of clusters.
    pub(super) fn check_clusters(&self, settings: &Settings) -> Vec<ConfigError> {
        let mut errors = Vec::new();
        for name in settings.clusters.keys() {
            if !self.clusters.contains(&name.as_str()) {
                let known = [DEFAULT_CLUSTER]
                    .into_iter()
                    .chain(self.clusters.iter().copied());
                let hint = did_you_mean(name, known.clone());
                let known = known.collect::<Vec<_>>().join(", ");
                let message = format!("the app has no cluster `{name}`{hint} (it has: {known})");
                errors.push(ConfigError::new(format!("clusters.{name}"), message));
            }
        }
        for name in &self.clusters {
            // A name that cannot be one is a mistake of the app, which is told as such.
            if check_cluster_name(name).is_ok() && !settings.clusters.contains_key(*name) {
                let message = "was not looked for: these settings were resolved without the names of the app's \
                               clusters; begin with `App::flags`";
                errors.push(ConfigError::new(servers_variable(name), message));
            }
        }
        if let Some(absent) = &settings.absent
            && let Ok(assembled) = self.assembled(&super::overrides(settings))
            && assembled.uses_unnamed()
        {
            errors.push(absent.clone());
        }
        let named = settings.clusters.values().map(|cluster| &cluster.security);
        let all = std::iter::once(&settings.security).chain(named);
        errors.extend(all.filter_map(|security| self.check_tokens(security).err()));
        errors
    }

    /// Connects to what the settings say; nothing is sent yet. `unnamed`: reaches the cluster without a name.
    pub(crate) fn clusters(
        &self,
        settings: &Settings,
        unnamed: Option<Arc<dyn Transport>>,
    ) -> Result<Clusters, RunError> {
        let assembled = self.assembled(&super::overrides(settings))?;
        let names = self.cluster_names(&assembled, settings);
        let mut given = unnamed;
        let clusters = names.into_iter().map(|name| {
            let transport = given.take().filter(|_| name == DEFAULT_CLUSTER);
            self.reached(name, settings, transport)
        });
        let mut clusters = clusters.collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = clusters.next().ok_or_else(|| unset(DEFAULT_CLUSTER))?;
        Ok(Clusters::new(first, clusters.collect()))
    }

    /// As [`App::clusters`], of everything the settings have, for programs without components.
    pub(super) fn clusters_of(&self, settings: &Settings) -> Result<Clusters, RunError> {
        let unnamed = (settings.clusters.is_empty() || settings.broker.value != Broker::Unset)
            .then_some(DEFAULT_CLUSTER);
        let named = settings.clusters.keys().map(|name| interned(name));
        let clusters = unnamed.into_iter().chain(named);
        let clusters = clusters.map(|name| self.reached(name, settings, None));
        let mut clusters = clusters.collect::<Result<Vec<_>, _>>()?.into_iter();
        let first = clusters.next().ok_or_else(|| unset(DEFAULT_CLUSTER))?;
        Ok(Clusters::new(first, clusters.collect()))
    }

    fn reached(
        &self,
        name: &'static str,
        settings: &Settings,
        transport: Option<Arc<dyn Transport>>,
    ) -> Result<Cluster, RunError> {
        let view = settings.cluster(name).ok_or_else(|| unset(name))?;
        let transport = match transport {
            Some(transport) => transport,
            None => self.transport(name, view, settings)?,
        };
        Ok(Cluster {
            name,
            transport,
            consumer_settings: view.consumer(),
            producer_settings: view.producer(),
        })
    }

    fn transport(
        &self,
        name: &'static str,
        view: ClusterView<'_>,
        settings: &Settings,
    ) -> Result<Arc<dyn Transport>, RunError> {
        match &view.broker.value {
            Broker::Cluster(servers) => {
                let producer = view.producer();
                // What both sides have in common is how to reach and trust the cluster.
                let mut shared: BTreeMap<String, String> = view
                    .consumer()
                    .into_iter()
                    .filter(|(key, value)| producer.get(key) == Some(value))
                    .collect();
                shared.insert("bootstrap.servers".to_owned(), servers.clone());
                let tokens = self.tokens(name, view.security, settings);
                Ok(Arc::new(KafkaTransport::new(shared)?.with_tokens(tokens)))
            }
            Broker::Embedded => {
                let transport = KafkaTransport::embedded(EmbeddedOptions::default())?;
                let address = transport.bootstrap_servers();
                tracing::warn!(
                    cluster = name,
                    address,
                    "running on the embedded broker: all records are gone when the process ends"
                );
                Ok(Arc::new(transport))
            }
            Broker::Unset => Err(unset(name)),
        }
    }
}

fn unset(cluster: &str) -> RunError {
    let flag = if cluster == DEFAULT_CLUSTER {
        "--bootstrap-servers HOST:PORT".to_owned()
    } else {
        format!("--cluster {cluster}.bootstrap.servers=HOST:PORT")
    };
    ConfigError::new(
        servers_variable(cluster),
        format!(
            "is not set; set it, pass `{flag}`, or `--embedded` for a broker inside the process"
        ),
    )
    .into()
}
