//! Log lines that say which trace they belong to.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// Adds `trace_id` and `span_id` of the current trace to the lines of another format, where there is one.
pub(crate) struct WithTrace<F>(pub(crate) F);

impl<S, N, F> FormatEvent<S, N> for WithTrace<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let current = Context::current();
        let span = current.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return self.0.format_event(cx, writer, event);
        }
        let (trace, span) = (ids.trace_id(), ids.span_id());
        let mut line = String::new();
        self.0.format_event(cx, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(
                writer,
                r#"{{"trace_id":"{trace}","span_id":"{span}",{rest}"#
            ),
            None => writeln!(
                writer,
                "{} trace_id={trace} span_id={span}",
                line.trim_end_matches('\n')
            ),
        }
    }
}
