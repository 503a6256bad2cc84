//! The consumer groups of the services whose topics are written here.

use citizenk::admin::{AdminErrorKind, GroupState, ResetTo};
use replicator_domain::config::GroupAction;

use super::run::lock;
use super::{ASK, Engine, GroupInfo};

impl Engine {
    /// Deletes or moves groups without members, and sees which have some.
    pub(super) async fn look_after_groups(&self) {
        let config = self.config();
        for effective in config
            .loaded
            .mappings
            .iter()
            .filter(|effective| effective.mapping.enabled)
        {
            let mapping = &effective.mapping;
            let Some(group) = mapping.service_group().filter(|_| !mapping.target_is_file) else {
                continue;
            };
            let topics: Vec<String> = mapping
                .pairs()
                .iter()
                .map(|pair| pair.target.to_owned())
                .collect();
            let info = self
                .look_after(
                    &mapping.name,
                    group,
                    mapping.target_service_group_action,
                    &topics,
                )
                .await;
            lock(&self.groups).insert(group.to_owned(), info);
        }
    }

    async fn look_after(
        &self,
        mapping: &str,
        group: &str,
        action: GroupAction,
        topics: &[String],
    ) -> GroupInfo {
        let before = lock(&self.groups).get(group).cloned().unwrap_or_default();
        let mut info = GroupInfo {
            acted_at: before.acted_at,
            looked_at: Some(self.now()),
            ..GroupInfo::default()
        };
        if self.options.group.as_deref() == Some(group) {
            info.error = Some("this is the Replicator's own group; it is never deleted".to_owned());
            return info;
        }
        let admin = self
            .tools()
            .ok()
            .and_then(|tools| tools.admin.on("target").ok());
        let Some(admin) = admin.map(|admin| admin.timeout(ASK)) else {
            info.error = Some("there is no target cluster".to_owned());
            return info;
        };
        match admin.describe_group(group).await {
            Ok(described) => {
                info.members = described.members.len();
                info.state = format!("{:?}", described.state).to_lowercase();
                if info.members > 0 || described.state == GroupState::Dead {
                    return info;
                }
            }
            Err(error) if error.kind == AdminErrorKind::NotFound => {
                "missing".clone_into(&mut info.state);
                return info;
            }
            Err(error) => {
                info.error = Some(error.to_string());
                return info;
            }
        }
        let done = match action {
            GroupAction::Delete => admin.delete_group(group).await.map(|()| true),
            GroupAction::ResetToLatest => {
                match admin.plan_reset(group, topics, ResetTo::Latest).await {
                    Ok(plan) if plan.moves().next().is_none() => Ok(false),
                    Ok(plan) => admin.apply(&plan).await.map(|_| true),
                    Err(error) => Err(error),
                }
            }
        };
        match done {
            Ok(true) => {
                tracing::info!(target: "replicator::audit", mapping, group, ?action, "the group had no members");
                info.acted_at = Some(self.now());
            }
            Ok(false) => {}
            // Somebody joined in between, or was quicker: the next look tells.
            Err(error)
                if matches!(
                    error.kind,
                    AdminErrorKind::NotEmpty | AdminErrorKind::NotFound | AdminErrorKind::Changed
                ) => {}
            Err(error) => info.error = Some(error.to_string()),
        }
        info
    }
}
