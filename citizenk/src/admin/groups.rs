//! The client handlers use: groups and their offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::client::{Admin, Asked, LOOK, LOOK_AT_MOST, id};
use super::error::{AdminError, AdminErrorKind};
use super::plan::{Known, OffsetChange, OffsetPlan, ResetTo, change};
use super::port::{AdminPort, AdminReply, Spot};
use super::types::{
    GroupDescription, GroupListing, GroupOffset, GroupState, PartitionId, TopicDescription,
};
use super::{check, types};
use crate::error::TransportError;
use crate::record::TopicPartition;

impl Admin {
    /// All consumer groups, of both protocols, by name.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn groups(&self) -> Result<Vec<GroupListing>, AdminError> {
        let asked = Asked::new(self, "listing", "groups");
        let mut groups = asked.answer(asked.port()?.groups(self.timeout).await)?;
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    /// A group's members and what each reads, for both protocols.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`]: there is none.
    pub async fn describe_group(&self, group: &str) -> Result<GroupDescription, AdminError> {
        let asked = Asked::group(self, "describing", group);
        asked.valid(check::group(group))?;
        let mut described = self
            .of_coordinator(&asked, true, |port, limit| {
                port.describe_group(group.to_owned(), limit)
            })
            .await?;
        if described.state == GroupState::Dead && described.members.is_empty() {
            return Err(asked.own(AdminErrorKind::NotFound, "there is no such group"));
        }
        described
            .members
            .sort_by(|a, b| a.member_id.cmp(&b.member_id));
        for member in &mut described.members {
            member.partitions.sort();
            member.target.iter_mut().for_each(|target| target.sort());
        }
        Ok(described)
    }

    /// Deletes a group with its committed offsets.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotEmpty`] while it has members; [`AdminErrorKind::NotFound`].
    pub async fn delete_group(&self, group: &str) -> Result<(), AdminError> {
        let asked = Asked::group(self, "deleting", group);
        asked.valid(check::group(group))?;
        self.of_coordinator(&asked, false, |port, limit| {
            port.delete_group(group.to_owned(), limit)
        })
        .await
    }

    /// Where a group stands in every partition it has committed, with the partition's ends; its lag is
    /// [`GroupOffset::lag`]. Partitions that no longer exist are left out. A group nobody knows has none.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, AdminError> {
        let asked = Asked::group(self, "asking for offsets of", group);
        let committed = self.committed(&asked, group).await?;
        let topics: BTreeSet<String> = committed.keys().map(|p| p.topic.to_string()).collect();
        let topics: Vec<String> = topics.into_iter().collect();
        let there: BTreeSet<TopicPartition> = self
            .describe_each(&topics)
            .await?
            .into_iter()
            .flatten()
            .flat_map(|topic| partitions(&topic))
            .collect();
        let (partitions, offsets): (Vec<_>, Vec<_>) = committed
            .into_iter()
            .filter(|(partition, _)| there.contains(partition))
            .unzip();
        let ends = self.ends(&asked, &partitions).await?;
        let rows = partitions.iter().zip(offsets).zip(ends);
        Ok(rows
            .map(|((partition, committed), (low, high))| types::GroupOffset {
                partition: id(partition),
                committed,
                low,
                high,
            })
            .collect())
    }

    /// What a reset would do to a group's offsets in these topics; without topics: in every partition the
    /// group has committed. Nothing is changed: show the plan, then [`Admin::apply`] it.
    ///
    /// The group need not exist yet. A [`ResetTo::Shift`] leaves out partitions without a committed offset.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`] for a topic; [`AdminErrorKind::Invalid`] when there is no partition to
    /// plan for.
    pub async fn plan_reset(
        &self,
        group: &str,
        topics: &[impl AsRef<str>],
        to: ResetTo,
    ) -> Result<OffsetPlan, AdminError> {
        let asked = Asked::group(self, "planning offsets of", group);
        let committed = self.committed(&asked, group).await?;
        let named: BTreeSet<&str> = topics.iter().map(AsRef::as_ref).collect();
        let wanted: Vec<TopicPartition> = if named.is_empty() {
            committed.keys().cloned().collect()
        } else {
            for topic in &named {
                Asked::topic(self, asked.operation, topic).valid(check::own_topic(topic))?;
            }
            let named: Vec<&str> = named.into_iter().collect();
            let described = self.describe_topics(&named).await?;
            described.iter().flat_map(partitions).collect()
        };
        let targets = wanted.into_iter().map(|partition| (partition, to));
        self.plan(&asked, group, &committed, targets.collect())
            .await
    }

    /// As [`Admin::plan_reset`], with an offset for each partition.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`] for a partition; [`AdminErrorKind::Invalid`] when one is given twice.
    pub async fn plan_offsets(
        &self,
        group: &str,
        offsets: &[(PartitionId, i64)],
    ) -> Result<OffsetPlan, AdminError> {
        let asked = Asked::group(self, "planning offsets of", group);
        let mut targets: BTreeMap<TopicPartition, ResetTo> = BTreeMap::new();
        for (partition, offset) in offsets {
            let topic = &partition.topic;
            Asked::topic(self, asked.operation, topic).valid(check::own_topic(topic))?;
            let key = TopicPartition::new(topic.as_str(), partition.partition);
            if targets.insert(key, ResetTo::Offset(*offset)).is_some() {
                return asked.valid(Err(format!("partition {partition} is given twice")));
            }
        }
        let topics: BTreeSet<&str> = targets.keys().map(|p| &*p.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let described = self.describe_topics(&topics).await?;
        let there: BTreeSet<TopicPartition> = described.iter().flat_map(partitions).collect();
        if let Some(missing) = targets.keys().find(|partition| !there.contains(partition)) {
            let message = format!("there is no partition {missing}");
            return Err(asked.own(AdminErrorKind::NotFound, message));
        }
        let committed = self.committed(&asked, group).await?;
        let targets = targets.into_iter().collect();
        self.plan(&asked, group, &committed, targets).await
    }

    async fn plan(
        &self,
        asked: &Asked<'_>,
        group: &str,
        committed: &BTreeMap<TopicPartition, i64>,
        targets: Vec<(TopicPartition, ResetTo)>,
    ) -> Result<OffsetPlan, AdminError> {
        asked.valid(check::at_most(
            targets.len(),
            check::MOST_AT_ONCE,
            "partitions",
        ))?;
        let partitions: Vec<TopicPartition> = targets.iter().map(|(p, _)| p.clone()).collect();
        let ends = self.ends(asked, &partitions).await?;
        // All targets of a plan by time have the same time.
        let at_time = match targets.first() {
            Some((_, ResetTo::Timestamp(time))) => {
                let at = Spot::Time(time.timestamp_millis());
                self.places(asked, &partitions, at).await?
            }
            _ => vec![None; partitions.len()],
        };
        let rows = targets.into_iter().zip(ends).zip(at_time);
        let changes: Vec<_> = rows
            .filter_map(|(((partition, to), (low, high)), at_time)| {
                let known = Known {
                    before: committed.get(&partition).copied(),
                    low,
                    high,
                    at_time,
                };
                change(id(&partition), to, known)
            })
            .collect();
        if changes.is_empty() {
            let message = "the group has committed no offset here, so there is nothing to move; \
                           name topics, and no shift";
            return asked.valid(Err(message.to_owned()));
        }
        Ok(OffsetPlan {
            group: group.to_owned(),
            members: self.members(group).await?,
            changes,
        })
    }

    /// Carries a plan out; answers how many offsets moved.
    ///
    /// # Errors
    /// [`AdminErrorKind::Invalid`]: nobody here can have made such a plan.
    /// [`AdminErrorKind::NotEmpty`] while the group has members or an open transaction with its offsets, and
    /// [`AdminErrorKind::Changed`] when it has committed since the plan was made: nothing is moved. When the broker refuses some partitions, the
    /// error names the first and says how many others were moved.
    pub async fn apply(&self, plan: &OffsetPlan) -> Result<usize, AdminError> {
        let asked = Asked::group(self, "moving", &plan.group);
        asked.valid(check::plan(plan))?;
        asked.valid(check::group(&plan.group))?;
        let members = self.members(&plan.group).await?;
        if members > 0 {
            let message = format!("the group has {members} members");
            return Err(asked.own(AdminErrorKind::NotEmpty, message));
        }
        let of = |change: &OffsetChange| {
            let partition = &change.partition;
            TopicPartition::new(partition.topic.as_str(), partition.partition)
        };
        let partitions: Vec<TopicPartition> = plan.moves().map(of).collect();
        if partitions.is_empty() {
            return Ok(0);
        }
        let settled = self.of_coordinator(&asked, true, |port, limit| {
            port.settled(plan.group.clone(), partitions.clone(), limit)
        });
        let settled: BTreeMap<_, _> = settled.await?.into_iter().collect();
        let mut offsets = Vec::new();
        for (change, key) in plan.moves().zip(&partitions) {
            let partition = &change.partition;
            let now = settled.get(key).copied();
            if now != change.before {
                let message = format!(
                    "partition {partition} was at {:?} when the plan was made and is at {now:?}",
                    change.before
                );
                return Err(asked.own(AdminErrorKind::Changed, message));
            }
            offsets.push((key.clone(), change.after));
        }
        let altered = self.of_coordinator(&asked, false, |port, limit| {
            let altered = port.alter_offsets(plan.group.clone(), offsets.clone(), limit);
            Box::pin(async move {
                let mut results = altered.await?;
                // A broker that is not the coordinator says so of each partition.
                match results.pop() {
                    Some(Err(error)) if moved(&error) => Err(error),
                    last => {
                        results.extend(last);
                        Ok(results)
                    }
                }
            })
        });
        let results = altered.await?;
        let moved = results.iter().filter(|result| result.is_ok()).count();
        for (partition, result) in partitions.iter().zip(results) {
            if let Err(mut error) = result {
                error.message = format!(
                    "partition {partition}: {}; {moved} of {} offsets were moved",
                    error.message,
                    partitions.len()
                );
                return asked.answer(Err(error));
            }
        }
        Ok(moved)
    }

    /// Asks the group's coordinator, which may have moved, or be about to: as long as the request may take,
    /// whoever is it now is looked for. What only reads is also asked again of whom it is when nobody answers.
    async fn of_coordinator<T>(
        &self,
        asked: &Asked<'_>,
        reads: bool,
        ask: impl Fn(&dyn AdminPort, Duration) -> AdminReply<T>,
    ) -> Result<T, AdminError> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = LOOK;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = if reads {
                left.min(self.timeout / 3)
            } else {
                left
            };
            let port = asked.port()?;
            let answer = ask(&*port, limit.max(Duration::from_millis(1))).await;
            let Err(error) = answer else {
                return asked.answer(answer);
            };
            let silent = error.code == "_TIMED_OUT";
            if silent || moved(&error) {
                port.forget_coordinators();
            }
            let again = moved(&error) || (silent && reads);
            if !again || Instant::now() + pause >= deadline {
                return asked.answer(Err(error));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AT_MOST);
        }
    }

    async fn committed(
        &self,
        asked: &Asked<'_>,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, i64>, AdminError> {
        asked.valid(check::group(group))?;
        let committed = self.of_coordinator(asked, true, |port, limit| {
            port.committed(group.to_owned(), limit)
        });
        let committed = committed.await?;
        Ok(committed.into_iter().collect())
    }

    /// How many members the group has; none where there is no such group.
    async fn members(&self, group: &str) -> Result<usize, AdminError> {
        match self.describe_group(group).await {
            Ok(described) => Ok(described.members.len()),
            Err(error) if error.kind == AdminErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }
}

/// Another broker is the coordinator, or will be.
fn moved(error: &TransportError) -> bool {
    matches!(
        error.code.as_str(),
        "NOT_COORDINATOR" | "COORDINATOR_NOT_AVAILABLE" | "COORDINATOR_LOAD_IN_PROGRESS"
    )
}

fn partitions(topic: &TopicDescription) -> Vec<TopicPartition> {
    topic
        .partitions
        .iter()
        .map(|p| TopicPartition::new(topic.name.as_str(), p.partition))
        .collect()
}
