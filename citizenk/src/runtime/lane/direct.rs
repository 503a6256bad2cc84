//! Calls of an agent with a record that did not come through Kafka.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use super::LaneContext;
use super::core::{Core, Failure, Next};
use super::shipping::Shipping;
use crate::agent::{AgentInput, Verdict};
use crate::error::AgentError;
use crate::extract::Call;
use crate::middleware::CallRecords;
use crate::record::{Chunk, OwnedRecord};

/// One call: the record, and what a lane would work with.
pub(crate) struct DirectCall {
    pub(crate) cx: LaneContext,
    pub(crate) record: OwnedRecord,
}

/// How many outputs left, or why the call failed. A decode error is the caller's fault.
pub(crate) type DirectFuture = Pin<Box<dyn Future<Output = Result<usize, AgentError>> + Send>>;

/// Calls the handler once; outputs leave when it succeeds, and are waited for.
pub(super) async fn run<In, P, H, Fut>(
    core: Core<In, P, H>,
    record: OwnedRecord,
) -> Result<usize, AgentError>
where
    In: AgentInput,
    P: Send + Sync + 'static,
    H: Fn(&P, &Call<'_, In::Mode>, In) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Verdict> + Send + 'static,
{
    let chunk: Chunk = Arc::new(record);
    let mut buffer = In::Buffer::default();
    let admitted = loop {
        match core.decode(&mut buffer, &chunk, 0) {
            Ok(admitted) => break admitted,
            Err(mut error) => {
                if core.obtain(&mut error).await != Next::Again {
                    return Err(error.into());
                }
            }
        }
    };
    if !admitted {
        return Err(AgentError::new(
            "the agent does not take tombstones; its input is not an `Option`",
        ));
    }
    let Some(input) = In::take(&mut buffer) else {
        return Ok(0);
    };
    let mut outbox = core.outbox();
    let slot = pin!(None);
    let record = (chunk, 0);
    let records = if In::BATCH {
        CallRecords::Batch(std::slice::from_ref(&record))
    } else {
        CallRecords::One(&record.0, 0)
    };
    match core.attempt(input, records, &mut outbox, 1, slot).await {
        Ok(Verdict::PerRecord(mut verdicts)) => {
            if let Some(error) = verdicts.pop().flatten() {
                return Err(error);
            }
        }
        Ok(_) => {}
        Err(Failure::Error(error)) => return Err(error),
        Err(failure) => return Err(AgentError::new(failure.to_string())),
    }
    let mut shipping = Shipping::new(&core.cx);
    let mut batch = shipping.spare();
    outbox.swap(&mut batch);
    if batch.is_empty() {
        return Ok(0);
    }
    let sent = shipping.ship(batch, None).await;
    shipping.oldest_complete().await;
    match shipping
        .reap()
        .and_then(|refused| refused.failures.into_iter().next())
    {
        Some((_, error)) => Err(error.into()),
        None => Ok(sent),
    }
}
