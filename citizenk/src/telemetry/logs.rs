//! The log of a program started from the command line.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, Setting};
use crate::error::ConfigError;

/// Sends log lines to standard error: a level or levels by module, for people or as one JSON object per
/// line. Colours on a terminal, unless `NO_COLOR` is set. A program that has set up its own subscriber
/// keeps it.
///
/// # Errors
/// The filter cannot be read; names where it came from.
pub(crate) fn init(filter: &Setting<String>, format: LogFormat) -> Result<(), ConfigError> {
    let stderr = std::io::stderr();
    let colours = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let subscriber = subscriber(filter, format, colours, std::io::stderr)?;
    // Somebody else's subscriber is no mistake.
    let _ = subscriber.try_init();
    Ok(())
}

type Boxed = Box<dyn Subscriber + Send + Sync>;

fn subscriber<W>(
    filter: &Setting<String>,
    format: LogFormat,
    colours: bool,
    writer: W,
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
    let builder = fmt().with_env_filter(parsed).with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(builder.with_ansi(colours).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
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
        let subscriber = subscriber(&filter, format, false, move || writer.clone()).unwrap();
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

    #[test]
    fn a_wrong_filter_names_its_source() {
        let filter = Setting::new(
            "info=nonsense".to_owned(),
            Source::Env("RUST_LOG".to_owned()),
        );
        let error = init(&filter, LogFormat::Text).unwrap_err();
        assert_eq!(error.key, "RUST_LOG");
        assert!(
            error.message.contains("`info=nonsense` is no log filter"),
            "{error}"
        );
    }
}
