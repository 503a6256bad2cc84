//! Looks for topics that match the patterns of agents.
//!
//! In: what a cluster says it has, every few seconds. Out: changes of the subscriptions of teams with patterns.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{ASK, Crew};
use crate::transport::TransportError;

const EVERY: Duration = Duration::from_secs(5);

impl Crew {
    /// Asks the cluster which topics there are; answers whether they are others than before.
    pub(in crate::runtime) async fn look_for_topics(
        &self,
        cluster: &'static str,
    ) -> Result<bool, TransportError> {
        let transport = self.spec.clusters.of(cluster)?.transport.clone();
        let asked = move || transport.topics(None, ASK);
        let all = self.spec.handle.spawn_blocking(asked).await;
        let all = all.unwrap_or_else(|_| Ok(Vec::new()))?;
        let known: BTreeSet<String> = all
            .into_iter()
            .map(|topic| topic.name)
            // The broker's own.
            .filter(|name| !name.starts_with("__"))
            .collect();
        let mut inner = self.lock();
        let before = inner.known.insert(cluster, known);
        Ok(before.as_ref() != inner.known.get(cluster))
    }

    pub(super) async fn look(self: &Arc<Self>, cluster: &'static str) {
        match self.look_for_topics(cluster).await {
            Ok(true) => self.match_patterns(),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(cluster, %error, "cannot look for topics that match a pattern");
            }
        }
    }

    pub(super) fn keep_looking(self: &Arc<Self>, cluster: &'static str) {
        let crew = Arc::downgrade(self);
        self.spec.handle.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(crew) = crew.upgrade() else { return };
                crew.look(cluster).await;
                if crew.lock().over {
                    return;
                }
            }
        });
    }

    fn match_patterns(self: &Arc<Self>) {
        let mut inner = self.lock();
        for team in &mut inner.teams {
            let mut members = team.members.iter();
            if members.any(|member| member.plan.patterns().next().is_some()) {
                // A subscription that does not differ is none.
                let _ = self.change(team);
            }
        }
    }
}
