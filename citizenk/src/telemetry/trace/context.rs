//! The context of a trace, in and out of headers.

use std::future::Future;

use opentelemetry::Context;
use opentelemetry::context::FutureExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument as _, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::TARGET;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// The two headers of W3C Trace Context, as something sent them.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    parent: Option<String>,
    state: Option<String>,
}

impl Remote {
    /// Takes a header; of several of one name the last one counts, as Kafka's own clients answer it.
    pub(crate) fn header(&mut self, name: &str, value: Option<&[u8]>) {
        let slot = if name.eq_ignore_ascii_case(PARENT) {
            &mut self.parent
        } else if name.eq_ignore_ascii_case(STATE) {
            &mut self.state
        } else {
            return;
        };
        *slot = value
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .map(str::to_owned);
    }

    /// The sender's span; `None`: there was none, or it cannot be read.
    pub(crate) fn context(&self) -> Option<Context> {
        self.parent.as_ref()?;
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), self);
        is_valid(&context).then_some(context)
    }
}

impl Extractor for Remote {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            PARENT => self.parent.as_deref(),
            STATE => self.state.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT, STATE]
    }
}

fn is_valid(context: &Context) -> bool {
    context.span().span_context().is_valid()
}

/// The sender's span of something with headers.
pub(crate) fn context_of(
    visit: impl FnOnce(&mut dyn FnMut(&str, Option<&[u8]>)),
) -> Option<Context> {
    let mut remote = Remote::default();
    visit(&mut |name, value| remote.header(name, value));
    remote.context()
}

/// The trace that all of these belong to.
pub(crate) fn shared(contexts: &[Context]) -> Option<Context> {
    let first = contexts.first()?;
    let trace = first.span().span_context().trace_id();
    contexts
        .iter()
        .all(|context| context.span().span_context().trace_id() == trace)
        .then(|| first.clone())
}

/// The context that holds inside of a span: its own where spans are recorded, else the sender's, so that a
/// service without an exporter does not break the trace.
pub(crate) fn enter(span: &Span, sender: Option<Context>) -> Context {
    let own = span.context();
    if is_valid(&own) {
        own
    } else {
        sender.unwrap_or_else(Context::current)
    }
}

/// Writes the current trace into the headers of a record.
pub(crate) fn inject(mut set: impl FnMut(&'static str, &str)) {
    struct Headers<'a>(&'a mut dyn FnMut(&'static str, &str));
    impl Injector for Headers<'_> {
        fn set(&mut self, key: &str, value: String) {
            match key {
                PARENT => (self.0)(PARENT, &value),
                STATE if !value.is_empty() => (self.0)(STATE, &value),
                _ => {}
            }
        }
    }
    let current = Context::current();
    TraceContextPropagator::new().inject_context(&current, &mut Headers(&mut set));
}

/// Lets a future that is moved to another task go on with the current span.
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_current_context().in_current_span()
}

/// Runs what the library does about a record itself, e.g. log its failure, within the record's trace.
pub(crate) fn under<F: Future>(
    sender: Option<Context>,
    future: F,
) -> impl Future<Output = F::Output> {
    future.with_context(sender.unwrap_or_else(Context::current))
}

/// Answers a request within a span that continues the client's trace.
pub(crate) async fn of_request<R>(
    method: &'static str,
    route: Option<&str>,
    sender: Option<Context>,
    answer: impl Future<Output = R>,
    status: impl FnOnce(&R) -> u16,
) -> R {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = %route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    );
    if let Some(sender) = &sender {
        // Without a layer that records spans there is nothing to set.
        let _ = span.set_parent(sender.clone());
    }
    let context = enter(&span, sender);
    let answered = answer.with_context(context).instrument(span.clone()).await;
    let code = status(&answered);
    // Unsigned numbers would be exported as texts.
    span.record("http.response.status_code", i64::from(code));
    if code >= 500 {
        span.record("otel.status_code", "error");
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn injected() -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        inject(|name, value| headers.push((name, value.to_owned())));
        headers
    }

    #[test]
    fn what_came_in_goes_out() {
        assert_eq!(injected(), [], "no trace, no header");
        let context = context_of(|visit| {
            visit("TraceParent", Some(b"nonsense"));
            visit("traceparent", Some(SENT.as_bytes()));
            visit("tracestate", Some(b"a=b"));
            visit("other", None);
        });
        let _guard = context.unwrap().attach();
        let expected = [(PARENT, SENT.to_owned()), (STATE, "a=b".to_owned())];
        assert_eq!(injected(), expected);
    }

    #[test]
    fn what_cannot_be_read_is_no_trace() {
        let read = |value: Option<&[u8]>| context_of(|visit| visit(PARENT, value));
        for wrong in [
            None,
            Some(b"".as_slice()),
            Some(b"\xff"),
            Some(b"00-0-0-0"),
            Some(b"00-00000000000000000000000000000000-0000000000000000-01"),
        ] {
            assert!(read(wrong).is_none(), "{wrong:?}");
        }
    }
}
