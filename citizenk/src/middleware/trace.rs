//! The span around each call.

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::TraceContextExt as _;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{CallInfo, CallKind, Handled, Next};
use crate::error::{AgentError, FailureKind};
use crate::telemetry::trace::{TARGET, context_of, enter, shared};

/// Outside of all other middlewares: continues the trace of a record, or begins one with links to those of
/// a batch.
pub(super) async fn traced(call: CallInfo, next: Next) -> Result<Handled, AgentError> {
    let senders: Vec<Context> = call
        .refs()
        .iter()
        .filter_map(|record| context_of(|visit| record.visit_headers(visit)))
        .collect();
    let span = span(&call);
    if call.is_batch() {
        for sender in &senders {
            span.add_link(sender.span().span_context().clone());
        }
    } else if let Some(sender) = senders.first() {
        // Without a layer that records spans there is nothing to set.
        let _ = span.set_parent(sender.clone());
    }
    let context = enter(&span, shared(&senders));
    let result = next
        .run()
        .with_context(context)
        .instrument(span.clone())
        .await;
    if let Err(error) = &result {
        span.record("error.type", kind(error.kind()));
        span.record("otel.status_code", "error");
        span.record("otel.status_description", error.to_string());
    }
    result
}

fn kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Error => "error",
        FailureKind::Panic => "panic",
        FailureKind::Timeout => "timeout",
    }
}

fn span(call: &CallInfo) -> Span {
    if call.kind() != CallKind::Agent {
        return tracing::info_span!(
            target: TARGET,
            "call",
            otel.name = %format_args!("{} {}", call.kind(), call.name()),
            otel.kind = "internal",
            error.r#type = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
    }
    let topic = call.topic().unwrap_or_default();
    tracing::info_span!(
        target: TARGET,
        "process",
        otel.name = %format_args!("process {topic}"),
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = topic,
        messaging.destination.partition.id = call.partition().map(|partition| partition.to_string()),
        messaging.kafka.offset = call.offset(),
        messaging.consumer.group.name = call.group(),
        messaging.batch.message_count = call.is_batch().then(|| call.records() as i64),
        citizenk.agent = call.name(),
        citizenk.attempt = i64::from(call.attempt()),
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}
