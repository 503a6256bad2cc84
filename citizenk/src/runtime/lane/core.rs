//! What every kind of lane does with a record: decode it, call the handler, decide about failures.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::LaneContext;
use super::inbox::Closing;
use super::letters::{self, Letter, Stage};
use super::returned;
use crate::agent::AgentInput;
use crate::error::{AgentError, DecodeError, FailureKind};
use crate::extract::Outbox;
use crate::middleware::LAST_WORD;
use crate::policy::{Decision, Policy};
use crate::record::Chunk;
use crate::telemetry;
use crate::topic::input::Decoder;

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Error(AgentError),
    Panic(String),
    Timeout(Duration),
}

impl Failure {
    fn decide(&self, policy: &Policy, attempt: u32, stage: usize) -> Decision {
        match self {
            Self::Error(error) => policy.decide(error, attempt, stage),
            Self::Panic(_) | Self::Timeout(_) => policy.decide_plain(attempt, stage),
        }
    }

    /// For metrics.
    pub(crate) fn kind(&self) -> telemetry::Stage {
        match self {
            Self::Error(error) => match error.kind() {
                FailureKind::Error => telemetry::Stage::Handler,
                FailureKind::Panic => telemetry::Stage::Panic,
                FailureKind::Timeout => telemetry::Stage::Timeout,
            },
            Self::Panic(_) => telemetry::Stage::Panic,
            Self::Timeout(_) => telemetry::Stage::Timeout,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panic(text) => write!(f, "panicked: {text}"),
            Self::Timeout(limit) => write!(f, "took longer than {limit:?}"),
        }
    }
}

/// What to do after a failure, once the pause is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Again,
    /// Skipped, or staged for a retry or dead-letter topic: the record counts as done.
    Done,
    /// The lane ends; the record stays unsettled.
    Halt,
}

/// The monomorphic heart of a lane.
pub(crate) struct Core<In: AgentInput, P, H> {
    pub(super) decode: Decoder<In::Value>,
    pub(super) prepared: P,
    pub(super) handler: Arc<H>,
    pub(crate) cx: LaneContext,
    /// Whether calls can stage outputs at all.
    pub(super) stages: bool,
    /// Whether calls run on the pool of blocking threads.
    pub(super) blocking: bool,
    /// Whether the future of a call is elsewhere than in the slot: on that pool, or within middlewares.
    pub(super) aside: bool,
    /// How long a call may take.
    pub(super) limit: Option<Duration>,
    input: PhantomData<fn(In)>,
}

impl<In: AgentInput, P, H> Core<In, P, H> {
    pub(crate) fn new(
        decode: Decoder<In::Value>,
        prepared: P,
        handler: Arc<H>,
        cx: LaneContext,
    ) -> Self {
        let spec = &cx.plan.spec;
        let wrapped = cx.plan.around.is_some();
        Self {
            stages: spec.output.is_some() || spec.uses_outbox,
            blocking: spec.blocking,
            aside: spec.blocking || wrapped,
            limit: if wrapped {
                spec.tuning.timeout.map(|limit| limit + LAST_WORD)
            } else {
                spec.tuning.timeout
            },
            decode,
            prepared,
            handler,
            cx,
            input: PhantomData,
        }
    }

    pub(crate) fn outbox(&self) -> Outbox {
        Outbox::with_table(self.cx.plan.table.clone())
    }

    /// How often a record was tried before it came back through a retry topic.
    #[inline]
    pub(crate) fn earlier_attempts(&self, chunk: &Chunk) -> u32 {
        match self.cx.stage {
            0 => 0,
            _ => chunk.earlier_attempts(),
        }
    }

    /// Decodes a record into the buffer; `false`: a tombstone the input does not admit.
    #[inline]
    pub(crate) fn decode(
        &self,
        buffer: &mut In::Buffer,
        chunk: &Chunk,
        index: usize,
    ) -> Result<bool, DecodeError> {
        let value = match chunk.payload(index) {
            Some(bytes) => Some(self.decode.decode(
                bytes,
                || chunk.key(index),
                |visit| chunk.headers(index, visit),
            )?),
            None => None,
        };
        Ok(In::push(
            buffer,
            value,
            crate::agent::input::Place { chunk, index },
        ))
    }

    /// Decodes a record for a call of its own; `None`: a tombstone the input does not admit.
    #[inline]
    pub(super) fn decode_one(
        &self,
        chunk: &Chunk,
        index: usize,
    ) -> Result<Option<In>, DecodeError> {
        let value = match chunk.payload(index) {
            Some(bytes) => Some(self.decode.decode(
                bytes,
                || chunk.key(index),
                |visit| chunk.headers(index, visit),
            )?),
            None => None,
        };
        Ok(In::one(value, crate::agent::input::Place { chunk, index }))
    }

    /// A record that cannot be decoded: the bytes will not change, so there is no retry.
    pub(crate) async fn undecodable(
        &self,
        outbox: &Outbox,
        chunk: &Chunk,
        index: usize,
        error: &DecodeError,
    ) -> Next {
        let plan = &self.cx.plan;
        self.cx.metrics.failed(telemetry::Stage::Decode, 1);
        let letter = Letter {
            chunk,
            index,
            stage: Stage::Decode,
            attempts: self.earlier_attempts(chunk).saturating_add(1),
            reason: error,
        };
        self.carry_out(plan.on_decode.end(0), &plan.on_decode, outbox, &letter)
            .await
    }

    /// A failed attempt: counts, logs, pauses before the next one, or carries out the policy's end.
    pub(crate) async fn failed(
        &self,
        failure: &Failure,
        attempt: u32,
        outbox: &Outbox,
        chunk: &Chunk,
        index: usize,
    ) -> Next {
        let plan = &self.cx.plan;
        self.cx.metrics.failed(failure.kind(), 1);
        let letter = Letter {
            chunk,
            index,
            stage: Stage::Handler,
            attempts: self.earlier_attempts(chunk).saturating_add(attempt),
            reason: failure,
        };
        self.carry_out(
            failure.decide(&plan.on_error, attempt, self.cx.stage),
            &plan.on_error,
            outbox,
            &letter,
        )
        .await
    }

    /// Decides about a failed attempt at a whole batch: only a retry, or leave it to the records.
    pub(crate) async fn batch_failed(
        &self,
        failure: &Failure,
        attempt: u32,
        records: usize,
    ) -> Next {
        let plan = &self.cx.plan;
        self.cx.metrics.failed(failure.kind(), 1);
        match failure.decide(&plan.on_error, attempt, self.cx.stage) {
            Decision::RetryAfter(pause) => {
                tracing::warn!(
                    agent = plan.spec.name, partition = %self.cx.partition, records, attempt, error = %failure, ?pause,
                    "batch failed; trying again"
                );
                self.pause(pause).await
            }
            _ => Next::Done,
        }
    }

    /// Does what the policy decided, within the trace of the record: its log lines belong there.
    async fn carry_out(
        &self,
        decision: Decision,
        policy: &Policy,
        outbox: &Outbox,
        letter: &Letter<'_>,
    ) -> Next {
        let done = self.decided(decision, policy, outbox, letter);
        #[cfg(feature = "otel")]
        let done = telemetry::trace::under(letter.trace(), done);
        done.await
    }

    async fn decided(
        &self,
        decision: Decision,
        policy: &Policy,
        outbox: &Outbox,
        letter: &Letter<'_>,
    ) -> Next {
        let plan = &self.cx.plan;
        let (agent, place) = (&plan.spec.name, letter.place());
        match decision {
            Decision::RetryAfter(pause) => {
                tracing::warn!(agent, record = %place, attempt = letter.attempts, error = %letter.reason, ?pause, "failed; trying again");
                self.pause(pause).await
            }
            Decision::Later(stage) => {
                let Some(topic) = plan.retry_topics.get(stage) else {
                    return self.stop(letter).await;
                };
                self.cx.metrics.retried(1);
                self.cx.metrics.postponed(1);
                tracing::warn!(agent, record = %place, attempts = letter.attempts, error = %letter.reason, delay = ?topic.delay, "sent to the retry topic");
                returned::stage(outbox, topic, stage, agent, letter, &self.cx.env.clock);
                Next::Done
            }
            Decision::Skip => {
                self.cx.metrics.skipped(letter.stage.skip_reason(), 1);
                tracing::warn!(agent, record = %place, attempts = letter.attempts, error = %letter.reason, "skipped");
                Next::Done
            }
            Decision::DeadLetter => {
                let index = policy
                    .dead_letter_topic()
                    .and_then(|topic| plan.table.index_of(topic.id()));
                let Some(index) = index else {
                    return self.stop(letter).await;
                };
                self.cx.metrics.dead_lettered(1);
                tracing::warn!(agent, record = %place, attempts = letter.attempts, error = %letter.reason, "sent to the dead-letter topic");
                let who = (plan.spec.name.as_str(), plan.cluster);
                letters::stage(outbox, index, who, letter, &self.cx.env.clock);
                Next::Done
            }
            Decision::Stop => self.stop(letter).await,
        }
    }

    async fn stop(&self, letter: &Letter<'_>) -> Next {
        let plan = &self.cx.plan;
        let reason = format!(
            "{} at {}: {}",
            letter.stage.verb(),
            letter.place(),
            letter.reason
        );
        self.cx.supervisor.stop(&plan.component, &reason);
        self.cx.inbox.closed().await;
        Next::Halt
    }

    pub(crate) async fn stop_for(&self, reason: &str) -> Next {
        self.cx.supervisor.stop(&self.cx.plan.component, reason);
        self.cx.inbox.closed().await;
        Next::Halt
    }

    /// Waits before a retry; a lane that is told to end discards it.
    pub(crate) async fn pause(&self, pause: Duration) -> Next {
        self.cx.inbox.signs.retried();
        self.wait(pause).await
    }

    /// The same before refused outputs are sent again: the handler has done its part.
    pub(crate) async fn pause_outputs(&self, pause: Duration, why: String) -> Next {
        self.cx.inbox.signs.refused(why);
        self.wait(pause).await
    }

    async fn wait(&self, pause: Duration) -> Next {
        self.cx.metrics.retried(1);
        tokio::select! {
            biased;
            _ = self.cx.inbox.closed() => Next::Halt,
            () = tokio::time::sleep(pause) => Next::Again,
        }
    }

    /// Waits for the agents this one comes after; `false`: the lane is told to end.
    pub(crate) async fn gates_open(&self) -> bool {
        let _rest = self.cx.inbox.signs.rest();
        for gate in &self.cx.gates {
            let mut gate = gate.clone();
            tokio::select! {
                biased;
                _ = self.cx.inbox.closed() => return false,
                // An error means the awaited agent's consumer is gone; the service is ending.
                _ = gate.wait_for(|open| *open) => {}
            }
        }
        self.cx.inbox.closing() == Closing::No
    }
}
