//! What a lane does when the broker refused its outputs.

use super::core::{Core, Next};
use super::shipping::{Refused, Shipping};
use crate::agent::AgentInput;
use crate::policy::Decision;
use crate::runtime::plan::AgentPlan;
use crate::telemetry::{self, SkipReason};

/// Where the agent's table has the dead-letter topic of the produce policy.
pub(in crate::runtime) fn letter_topic(plan: &AgentPlan) -> Option<usize> {
    plan.on_produce
        .dead_letter_topic()
        .and_then(|topic| plan.table.index_of(topic.id()))
}

pub(in crate::runtime) fn undeliverable(count: usize, topic: &str, error: &str) -> String {
    format!("could not deliver {count} outputs to topic `{topic}`: {error}")
}

/// Asks the produce policy and carries it out. The handler is never run again: the staged bytes are
/// sent again.
pub(super) async fn attend<In: AgentInput, P, H>(
    core: &Core<In, P, H>,
    shipping: &mut Shipping,
    refused: Refused,
) -> Next {
    let plan = &core.cx.plan;
    let Some((first, error)) = refused.failures.first() else {
        return Next::Done;
    };
    core.cx
        .metrics
        .failed(telemetry::Stage::Produce, refused.failures.len());
    let topic_of = |index: usize| {
        &plan.table.targets()[refused.batch.get(index).topic]
            .topic
            .name
    };
    let (agent, partition, count) = (&plan.spec.name, &core.cx.partition, refused.failures.len());
    match plan.on_produce.decide_plain(refused.attempt, 0) {
        Decision::RetryAfter(pause) => {
            tracing::warn!(agent, %partition, count, %error, ?pause, "outputs were not delivered; sending them again");
            if core.pause_outputs(pause, error.to_string()).await == Next::Halt {
                return Next::Halt;
            }
            let Some(repeated) = shipping.resend(refused).await else {
                return Next::Halt;
            };
            if repeated > 0 {
                tracing::warn!(agent, %partition, repeated, "outputs that had followed the refused ones to the same key or partition were sent once more after them");
            }
            Next::Done
        }
        Decision::Skip => {
            core.cx.inbox.signs.accepted();
            for (index, error) in &refused.failures {
                core.cx.metrics.skipped(SkipReason::Produce, 1);
                tracing::warn!(agent, %partition, topic = topic_of(*index), %error, "output skipped");
            }
            refused.settle();
            Next::Done
        }
        Decision::DeadLetter => {
            let Some(topic) = letter_topic(plan) else {
                return core.stop_for("has no dead-letter topic").await;
            };
            if refused.batch.get(*first).topic == topic {
                // A letter is as large as what it holds; sending it there again would fail for ever.
                return core
                    .stop_for(&format!("could not deliver a dead letter: {error}"))
                    .await;
            }
            core.cx.inbox.signs.accepted();
            tracing::warn!(agent, %partition, count, %error, "outputs sent to the dead-letter topic");
            core.cx.metrics.dead_lettered(count);
            shipping.redirect(refused, topic, agent, &plan.table).await;
            Next::Done
        }
        // No produce policy has retry topics: the app would not have been built.
        Decision::Stop | Decision::Later(_) => {
            let topic = topic_of(*first);
            core.stop_for(&undeliverable(count, topic, &error.to_string()))
                .await
        }
    }
}
