//! `tail`: what a topic holds, or what comes.
//!
//! In: positions, filters, a format. Out: a line per record on standard output, how far a long search is on
//! standard error. Reads with a [`Reader`], as an endpoint does.

mod filter;
mod print;
mod values;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::super::App;
use super::records::usage;
use super::{TailArgs, known_topic, unknown, unread, with_ids};
use crate::agent::Event;
use crate::codec::RawBytes;
use crate::config::Settings;
use crate::error::RunError;
use crate::extract::{Position, Progress, Read, Reader, RecordStream};
use crate::runtime::clusters::Clusters;
use crate::time::Clock;

use filter::Filter;
pub(crate) use print::Format;
use print::Printer;
use values::Values;

/// How often a long search says how far it is.
const SAY: Duration = Duration::from_secs(2);

type Record = Event<Option<RawBytes>>;

pub(super) async fn tail(
    app: &App,
    settings: &Settings,
    args: &TailArgs,
    clusters: Clusters,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut topic = known_topic(app, settings, &args.topic)?;
    let by_key = args.filter.iter().any(|filter| filter.starts_with("key="));
    match with_ids(app, settings, &topic, false).await {
        Ok(known) => topic = known,
        Err(error) if by_key => return Err(error),
        Err(error) => eprintln!("warning: values are shown as bytes: {error}"),
    }
    let clock = Clock::system();
    let reader = Reader::over(clusters, settings, format!("{}-tail", app.name));
    let reader = reader.on(topic.cluster).map_err(unknown)?;
    let read = reader.raw(settings.real_topic(topic.name));
    let read = within(read, args, &clock)?;
    let filters = args.filter.iter().map(|text| Filter::parse(text, &topic));
    let filters: Vec<Filter> = filters.collect::<Result<_, _>>()?;
    let mut printer = Printer::new(topic.clone(), args.format);
    let mut values = Values::new(topic);
    let scanned = print_all(
        read.stream(),
        &filters,
        args.max,
        &mut printer,
        &mut values,
        stop,
    )
    .await;
    match scanned {
        // A reader that has seen enough (`| head`) is no error.
        Err(Ended::Output(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(RunError::Startup {
                component: "standard output".to_owned(),
                reason: error.to_string(),
            })
        }
        Err(Ended::Read(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Sets where to begin and end.
fn within<T: 'static>(
    mut read: Read<T>,
    args: &TailArgs,
    clock: &Clock,
) -> Result<Read<T>, RunError> {
    let position = |flag: &str, text: &str| {
        Position::parse(text, clock.now()).map_err(|error| usage(flag, error.to_string()))
    };
    for partition in &args.partition {
        read = read.partition(*partition);
    }
    let count = args.from.strip_prefix('-').map(str::parse::<u64>);
    read = match count {
        Some(Ok(count)) => read.last(count),
        _ => read.from(position("--from", &args.from)?),
    };
    Ok(match &args.to {
        Some(to) => read.to(position("--to", to)?),
        None => read.follow(),
    })
}

/// Why it ended before the last record.
enum Ended {
    Read(RunError),
    Output(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn print_all(
    mut stream: RecordStream<Option<RawBytes>>,
    filters: &[Filter],
    max: Option<u64>,
    printer: &mut Printer,
    values: &mut Values,
    stop: impl Future<Output = ()>,
) -> Result<(), Ended> {
    let mut say = tokio::time::interval_at(Instant::now() + SAY, SAY);
    say.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Where every record is seen to come, nothing need be said.
    let seen = filters.is_empty() && io::stdout().is_terminal();
    let (mut shown, mut said) = (0, Progress::default());
    tokio::pin!(stop);
    while max.is_none_or(|max| shown < max) {
        tokio::select! {
            biased;
            () = &mut stop => break,
            _ = say.tick(), if !seen => {
                let now = stream.progress();
                if now != said {
                    eprintln!("{}", progress(now, shown));
                    said = now;
                }
            }
            item = stream.next() => match item {
                None => break,
                Some(Ok(record)) => {
                    let value = tokio::select! {
                        value = values.of(&record) => value,
                        () = &mut stop => break,
                    };
                    let value = value.as_deref();
                    if filters.iter().all(|filter| filter.admits(&record, value)) {
                        printer.print(&record, value)?;
                        shown += 1;
                    }
                }
                Some(Err(error)) if error.is_final() => {
                    printer.flush()?;
                    return Err(Ended::Read(unread(error)));
                }
                Some(Err(error)) => eprintln!("warning: {error}"),
            },
            // Nothing is there to be printed with it.
            () = std::future::ready(()), if printer.waits() => printer.flush()?,
        }
    }
    Ok(printer.flush()?)
}

fn progress(progress: Progress, shown: u64) -> String {
    let Progress {
        records,
        offsets,
        passed,
        ..
    } = progress;
    if offsets == 0 {
        return format!("{records} records read, {shown} shown");
    }
    let percent = passed.saturating_mul(100) / offsets;
    format!("{passed} of {offsets} offsets read ({percent} %), {shown} records shown")
}
