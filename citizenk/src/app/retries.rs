//! Retry topics of agents.
//!
//! In: resolved plans. Out: the same plans with their retry topics named, and what is wrong with them.
//! Pure.

use std::sync::Arc;

use crate::RawBytes;
use crate::config::TopicNames;
use crate::extract::{OutputTable, OutputTarget};
use crate::runtime::plan::{AgentPlan, RetryTopic};
use crate::time::Human;
use crate::topic::describe::TopicInfo;
use crate::topic::{Topic, interned};

/// Names the plan's retry topics (`<group>.<agent>.retry.<delay>`) and lets the agent write them.
pub(super) fn named(mut plan: AgentPlan, names: &TopicNames) -> AgentPlan {
    let Some(group) = &plan.group else {
        return plan;
    };
    let mut targets: Vec<OutputTarget> = plan.table.targets().to_vec();
    for delay in &plan.on_error.later {
        let name = format!("{group}.{}.retry.{}", plan.spec.name, Human(*delay));
        let topic = Topic::<RawBytes>::raw(interned(&name)).cluster(plan.cluster);
        let mut info = TopicInfo::of(&topic);
        info.internal = true;
        let mut topic = info.output();
        topic.name = names.real(info.name);
        plan.retry_topics.push(RetryTopic {
            delay: *delay,
            real: topic.name.as_str().into(),
            output: targets.len(),
            info: info.clone(),
        });
        targets.push(OutputTarget {
            id: info.id(),
            topic,
        });
    }
    if !plan.retry_topics.is_empty() {
        plan.table = Arc::new(OutputTable::new(targets, plan.table.schemas.clone()));
    }
    plan
}

/// What is wrong with the plan's retry topics.
pub(super) fn problems(plan: &AgentPlan) -> Vec<String> {
    let mut problems = Vec::new();
    if !plan.on_decode.later.is_empty() {
        problems.push(
            "`on_decode_error` cannot have `retry_topics`: the bytes will not change".to_owned(),
        );
    }
    if !plan.on_produce.later.is_empty() {
        problems.push(
            "`on_produce_error` cannot have `retry_topics`: outputs are sent again, not their records; use `retry(..)`"
                .to_owned(),
        );
    }
    let delays = &plan.on_error.later;
    if delays.is_empty() {
        return problems;
    }
    if plan.group.is_none() {
        problems.push(
            "reads without a group, so every worker would try its failed records again; give it a group, or an `on_error` without `retry_topics`"
                .to_owned(),
        );
    }
    if plan.patterns().next().is_some() {
        problems.push(
            "reads a pattern of topics, and a record that comes back must name its topic; use `retry(..)` or a dead letter"
                .to_owned(),
        );
    }
    for (number, delay) in delays.iter().enumerate() {
        if delay.is_zero() {
            problems.push("has a retry topic without delay; use `retry(..)` instead".to_owned());
        } else if delays[..number].contains(delay) {
            problems.push(format!("has two retry topics of {}", Human(*delay)));
        }
    }
    for topic in &plan.retry_topics {
        if plan.real_topics.contains(&topic.real) {
            problems.push(format!(
                "reads topic `{}`, which is its own retry topic",
                topic.real
            ));
        }
    }
    problems
}
