//! Batches: what waits for one, and what becomes of one that fails.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::core::{Core, Failure, Next};
use super::super::letters::Stage;
use super::Sequential;
use crate::agent::{AgentInput, Verdict};
use crate::error::AgentError;
use crate::extract::Call;
use crate::middleware::CallRecords;
use crate::policy::Decision;
use crate::record::Chunk;
use crate::telemetry::SkipReason;

/// Consecutive records of a chunk that wait for their batch.
pub(super) struct Segment {
    chunk: Chunk,
    start: usize,
    end: usize,
}

impl<In, P, H, Fut> Sequential<In, P, H, Fut>
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    pub(super) fn wait_for_batch(&mut self, chunk: &Chunk, index: usize) {
        match self.waiting.last_mut() {
            Some(last) if last.end == index && Arc::ptr_eq(&last.chunk, chunk) => last.end += 1,
            _ => self.waiting.push(Segment {
                chunk: chunk.clone(),
                start: index,
                end: index + 1,
            }),
        }
        self.waiting_len += 1;
        if self.deadline.is_none() {
            self.deadline = Some(Instant::now() + self.core.cx.plan.spec.tuning.batch_timeout);
        }
    }

    /// A tombstone that a batch does not admit: it counts as done with the records before it.
    pub(super) fn skip_tombstone(&mut self, chunk: &Chunk, index: usize) {
        self.core.cx.metrics.skipped(SkipReason::Tombstone, 1);
        if self.waiting.is_empty() {
            self.finished(chunk.position(index));
        } else {
            self.skipped = Some(chunk.position(index));
        }
    }

    /// Calls the handler for the records that wait, if any, until all are done with.
    pub(super) async fn batch(&mut self) -> Next {
        self.deadline = None;
        if self.waiting.is_empty() {
            return Next::Done;
        }
        let segments = std::mem::take(&mut self.waiting);
        self.waiting_len = 0;
        let records: Vec<(Chunk, usize)> = segments
            .iter()
            .flat_map(|segment| {
                (segment.start..segment.end).map(|index| (segment.chunk.clone(), index))
            })
            .collect();
        let last = records.last().map(|(chunk, index)| chunk.position(*index));
        let input = In::take(&mut self.buffer);
        let next = self.batch_of(records, input).await;
        if next != Next::Halt
            && let Some(last) = last
        {
            let skipped = self.skipped.take();
            self.finished(skipped.map_or(last, |skipped| skipped.max(last)));
        }
        next
    }

    /// Tries a batch as a whole; then, or where the handler answered per record, its parts.
    async fn batch_of(&mut self, mut records: Vec<(Chunk, usize)>, mut input: Option<In>) -> Next {
        let mut attempt = 1;
        loop {
            let batch = match input.take().or_else(|| self.decode_again(&records)) {
                Some(batch) => batch,
                None => return Next::Done,
            };
            let result = self
                .attempt(batch, CallRecords::Batch(&records), attempt)
                .await;
            match result {
                Ok(Verdict::PerRecord(verdicts)) => {
                    if verdicts.len() != records.len() {
                        let reason = format!(
                            "returned {} outcomes for a batch of {} records",
                            verdicts.len(),
                            records.len()
                        );
                        return self.core.stop_for(&reason).await;
                    }
                    if verdicts.iter().any(Option::is_some) {
                        self.part_from_earlier().await;
                    }
                    let mut again = Vec::new();
                    let mut pause = Next::Done;
                    for ((chunk, index), error) in records.into_iter().zip(verdicts) {
                        let Some(error) = error else { continue };
                        let cx = &self.core.cx;
                        let decision = cx.plan.on_error.decide(&error, attempt, cx.stage);
                        let retry = matches!(decision, Decision::RetryAfter(_));
                        let failure = Failure::Error(error);
                        if retry && pause == Next::Again {
                            // One pause serves all records of the attempt.
                            again.push((chunk, index));
                            continue;
                        }
                        match self
                            .core
                            .failed(&failure, attempt, &self.outbox, &chunk, index)
                            .await
                        {
                            Next::Again => {
                                pause = Next::Again;
                                again.push((chunk, index));
                            }
                            Next::Done => {}
                            Next::Halt => return Next::Halt,
                        }
                    }
                    if again.is_empty() {
                        return Next::Done;
                    }
                    records = again;
                    attempt += 1;
                }
                Ok(_) => return Next::Done,
                Err(failure) => match self
                    .settled_core()
                    .await
                    .batch_failed(&failure, attempt, records.len())
                    .await
                {
                    Next::Again => attempt += 1,
                    Next::Halt => return Next::Halt,
                    Next::Done if records.len() == 1 => {
                        let (chunk, index) = &records[0];
                        return self
                            .core
                            .failed(&failure, attempt, &self.outbox, chunk, *index)
                            .await;
                    }
                    Next::Done => return self.one_by_one(records).await,
                },
            }
        }
    }

    /// Isolates bad records: each is tried once more alone, and only those that fail meet the policy's
    /// end.
    async fn one_by_one(&mut self, records: Vec<(Chunk, usize)>) -> Next {
        for (chunk, index) in records {
            if self.core.cx.inbox.is_closing() {
                return Next::Halt;
            }
            let record = [(chunk, index)];
            let Some(input) = self.decode_again(&record) else {
                continue;
            };
            let retries = self
                .core
                .cx
                .plan
                .on_error
                .retry
                .map_or(0, |retry| retry.count);
            let attempt = retries + 1;
            let result = self
                .attempt(input, CallRecords::Batch(&record), attempt)
                .await;
            let failure = match result {
                Ok(Verdict::PerRecord(mut verdicts)) => match verdicts.pop().flatten() {
                    Some(error) => Failure::Error(error),
                    None => continue,
                },
                Ok(_) => continue,
                Err(failure) => failure,
            };
            let [(chunk, index)] = &record;
            if self
                .core
                .failed(&failure, attempt, &self.outbox, chunk, *index)
                .await
                == Next::Halt
            {
                return Next::Halt;
            }
        }
        Next::Done
    }

    fn decode_again(&mut self, records: &[(Chunk, usize)]) -> Option<In> {
        for (chunk, index) in records {
            // It could be decoded before, and the bytes are the same.
            if let Err(error) = self.core.decode(&mut self.buffer, chunk, *index) {
                tracing::error!(stage = Stage::Decode.name(), %error, "a record decoded once cannot be decoded again");
            }
        }
        In::take(&mut self.buffer)
    }

    /// The core, once nothing done waits any more: before a pause.
    async fn settled_core(&mut self) -> &Core<In, P, H> {
        self.settle().await;
        &self.core
    }
}
