//! Traces: from the headers of what comes in to the headers of what goes out.
//!
//! In: `traceparent` and `tracestate` of records and requests. Out: spans around calls and requests, and the
//! same two headers in what is sent meanwhile. The context of a call is OpenTelemetry's current one while its
//! future is polled; without the feature `otel` nothing of this is compiled, and what is left here does
//! nothing.

#[cfg(feature = "otel")]
mod context;
#[cfg(feature = "otel")]
pub(crate) mod export;
#[cfg(feature = "otel")]
mod line;

#[cfg(feature = "otel")]
pub(crate) use self::context::{carried, context_of, enter, inject, of_request, shared, under};
#[cfg(feature = "otel")]
pub(crate) use self::line::WithTrace;

/// Spans of the library, which are for traces and not for log lines.
#[cfg(feature = "otel")]
pub(crate) const TARGET: &str = "citizenk::trace";

/// Without the feature nothing is exported.
#[cfg(not(feature = "otel"))]
pub(crate) mod export {
    use crate::error::ConfigError;

    pub(crate) struct Exporting;

    impl Exporting {
        pub(crate) fn start(_service: &str) -> Result<Self, ConfigError> {
            Ok(Self)
        }

        pub(crate) fn announce(&self, _installed: bool) {}

        pub(crate) async fn end(self) {}
    }
}

/// Writes the current trace into the headers of a record.
#[cfg(not(feature = "otel"))]
pub(crate) fn inject(_set: impl FnMut(&'static str, &str)) {}
