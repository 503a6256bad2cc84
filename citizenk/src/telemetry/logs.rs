//! The log of a program started from the command line.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{LogFormat, Setting};
use crate::error::ConfigError;

/// Sends log lines to standard error: a level or levels by module, for people or as one JSON object per
/// line. Colours on a terminal, unless `NO_COLOR` is set. Spans go to `traces`. A program that has set up its
/// own subscriber keeps it; then the answer is `false`.
///
/// # Errors
/// The filter cannot be read; names where it came from.
pub(crate) fn init(
    filter: &Setting<String>,
    format: LogFormat,
    traces: Option<Traces>,
) -> Result<bool, ConfigError> {
    let stderr = std::io::stderr();
    let colours = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let subscriber = subscriber(filter, format, colours, std::io::stderr, traces)?;
    // Somebody else's subscriber is no mistake.
    Ok(subscriber.try_init().is_ok())
}

/// Where spans go.
pub(crate) type Traces = Box<dyn Layer<Registry> + Send + Sync>;

#[cfg(feature = "otel")]
use super::trace::WithTrace as lined;

/// Without traces, lines are as the format makes them.
#[cfg(not(feature = "otel"))]
fn lined<F>(format: F) -> F {
    format
}

type Boxed = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(
    filter: &Setting<String>,
    format: LogFormat,
    colours: bool,
    writer: W,
    traces: Option<Traces>,
) -> Result<Boxed, ConfigError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let parsed = EnvFilter::try_new(filter.value.trim()).map_err(|error| {
        filter.source.error(
            "log.filter",
            format!(
                "`{}` is no log filter ({error}); write a level (error, warn, info, debug, trace, off) or \
                 levels by module, e.g. `info,librdkafka=debug`",
                filter.value.escape_debug()
            ),
        )
    })?;
    // The library's own spans would put their attributes before every line.
    #[cfg(feature = "otel")]
    let parsed = {
        use tracing_subscriber::filter::{FilterExt as _, filter_fn};
        parsed.and(filter_fn(|metadata| {
            metadata.target() != super::trace::TARGET
        }))
    };
    let registry = tracing_subscriber::registry().with(traces);
    let lines = fmt::layer().with_writer(writer);
    Ok(match format {
        LogFormat::Text => {
            let lines = lines
                .with_ansi(colours)
                .event_format(lined(fmt::format().with_ansi(colours)));
            Box::new(registry.with(lines.with_filter(parsed)))
        }
        LogFormat::Json => {
            let lines = lines
                .fmt_fields(JsonFields::new())
                .event_format(lined(fmt::format().json().flatten_event(true)));
            Box::new(registry.with(lines.with_filter(parsed)))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::config::Source;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(filter: &str, format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = Setting::default_of(filter.to_owned());
        let subscriber = subscriber(&filter, format, false, move || writer.clone(), None).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_text_or_json_and_filtered() {
        let log = || {
            tracing::info!(topic = "a", "hello");
            tracing::debug!("not wanted");
            tracing::debug!(target: "librdkafka", facility = "FETCH", "wanted");
            tracing::error!(target: "librdkafka", facility = "FAIL", "line\nbreak");
        };
        let text = written("info,librdkafka=debug", LogFormat::Text, log);
        assert!(text.contains("hello topic=\"a\""), "{text}");
        assert!(
            text.contains("wanted") && !text.contains("not wanted"),
            "{text}"
        );
        let json = written("info", LogFormat::Json, log);
        let lines: Vec<serde_json::Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{json}");
        assert_eq!(lines[0]["message"], "hello");
        assert_eq!(lines[0]["topic"], "a");
        assert_eq!(lines[1]["level"], "ERROR");
        assert_eq!(lines[1]["target"], "librdkafka");
        assert_eq!(lines[1]["facility"], "FAIL");
    }

    #[cfg(feature = "otel")]
    #[test]
    fn lines_within_a_trace_say_so() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let sent = format!("00-{trace}-00f067aa0ba902b7-01");
        let log = || {
            tracing::info!("before");
            let context = crate::telemetry::trace::context_of(|visit| {
                visit("traceparent", Some(sent.as_bytes()));
            });
            let _guard = context.unwrap().attach();
            let span = tracing::info_span!(target: "citizenk::trace", "process");
            let _inside = span.enter();
            tracing::info!(topic = "a", "hello");
        };
        let json = written("info", LogFormat::Json, log);
        let lines: Vec<serde_json::Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{json}");
        assert!(lines[0].get("trace_id").is_none(), "{json}");
        assert_eq!(lines[1]["trace_id"], trace);
        assert_eq!(lines[1]["span_id"], "00f067aa0ba902b7");
        assert_eq!(lines[1]["topic"], "a");
        assert!(lines[1].get("span").is_none(), "{json}");
        let text = written("info", LogFormat::Text, log);
        let expected = format!("hello topic=\"a\" trace_id={trace} span_id=00f067aa0ba902b7\n");
        assert!(text.ends_with(&expected), "{text}");
    }

    #[test]
    fn a_wrong_filter_names_its_source() {
        let filter = Setting::new(
            "info=nonsense".to_owned(),
            Source::Env("RUST_LOG".to_owned()),
        );
        let error = init(&filter, LogFormat::Text, None).unwrap_err();
        assert_eq!(error.key, "RUST_LOG");
        assert!(
            error.message.contains("`info=nonsense` is no log filter"),
            "{error}"
        );
    }
}
