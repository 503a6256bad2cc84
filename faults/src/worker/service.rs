//! The service: every item comes out once, and what the handler does is written down.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{Exit, Policy};
use clap::{Args, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::AGENT;
use crate::history::{Deed, Id, Input, Place};
use crate::journal::Journal;
use crate::load::Item;
use crate::observe::Done;

const ITEMS: Topic<Item, u32> = Topic::json("items");
const DONE: Topic<Done, u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");
/// How late a worker that commits too early does its work.
const LATE: Duration = Duration::from_secs(2);
/// The producer's number of what is sent at the start.
pub(crate) const SENT_AT_START: u32 = 99;

/// What is promised for each record.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

/// What outputs that are refused meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Refusal {
    Retry,
    Skip,
}

/// What this worker is like.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Where it writes what it does
    #[arg(long)]
    journal: PathBuf,
    #[arg(long, value_enum, default_value_t = Guarantee::AtLeastOnce)]
    guarantee: Guarantee,
    /// How often it commits, in milliseconds; 0: the default
    #[arg(long, default_value_t = 0)]
    interval: u64,
    /// How long every call takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// Calls take up to so many milliseconds more, each its own
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// Every such call panics; 0: none
    #[arg(long, default_value_t = 0)]
    panic_every: u64,
    /// The process kills itself when this call has begun; 0: never
    #[arg(long, default_value_t = 0)]
    die_at_start: u64,
    /// The process kills itself when this call is about to end
    #[arg(long, default_value_t = 0)]
    die_at_end: u64,
    /// A call for this key never ends
    #[arg(long)]
    stuck_key: Option<u32>,
    /// The first call for this key takes `--slow-for`
    #[arg(long)]
    slow_key: Option<u32>,
    #[arg(long, default_value_t = 0)]
    slow_for: u64,
    /// The slow call blocks every thread of the runtime instead of waiting
    #[arg(long)]
    freeze: bool,
    /// Outputs of this key are made larger by `--large`
    #[arg(long)]
    large_key: Option<u32>,
    #[arg(long, default_value_t = 0)]
    large: usize,
    #[arg(long, value_enum, default_value_t = Refusal::Retry)]
    refused: Refusal,
    /// What cannot be decoded goes to the dead letters instead of stopping the service
    #[arg(long)]
    letters: bool,
    /// A mistake on purpose: what cannot be decoded is passed over
    #[arg(long, hide = true)]
    lose_pills: bool,
    /// Sends so many records at the start without waiting for any
    #[arg(long, default_value_t = 0)]
    send: u64,
    /// A mistake on purpose: calls end before their work is done
    #[arg(long, hide = true)]
    early: bool,
    /// A mistake on purpose: a producer is kept although a late request could end its next transaction
    #[arg(long, hide = true)]
    keep_producer: bool,
}

/// What all calls share.
#[derive(Clone, Debug)]
struct Desk {
    options: Arc<Options>,
    journal: Arc<Journal>,
    calls: Arc<AtomicU64>,
    slow: Arc<AtomicU64>,
}

impl Desk {
    fn note(&self, deed: &Deed) -> citizenk::Result<()> {
        Ok(self.journal.write(deed)?)
    }

    fn die_if(&self, at: u64, call: u64) -> citizenk::Result<()> {
        if at == call {
            kill(Pid::this(), Signal::SIGKILL)?;
        }
        Ok(())
    }

    /// Whether this is the one slow call.
    fn is_slow(&self, key: u32) -> bool {
        self.options.slow_key == Some(key) && self.slow.fetch_add(1, Ordering::Relaxed) == 0
    }
}

#[citizenk::agent(topics = [ITEMS], sends = [DONE], on_error = retry(1000, backoff = "10ms..100ms"))]
async fn work(
    item: Event<Item>,
    State(desk): State<Desk>,
    producer: Producer,
    out: Outbox,
) -> citizenk::Result<()> {
    let options = &desk.options;
    let place = Place::new(item.partition(), item.offset());
    let input = Input {
        place,
        id: item.value.id(),
        key: item.value.key,
    };
    if !item.value.is_whole() {
        desk.note(&Deed::Corrupt(place))?;
    }
    desk.note(&Deed::Start(input))?;
    let call = desk.calls.fetch_add(1, Ordering::Relaxed) + 1;
    desk.die_if(options.die_at_start, call)?;
    if options.early {
        let desk = desk.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let noted = desk.note(&Deed::Done(input));
            noted.and(
                producer
                    .send(&DONE, &input.key, output(&input, 0))
                    .await
                    .map_err(AgentError::from),
            )
        });
        return Ok(());
    }
    if options.stuck_key == Some(input.key) {
        std::future::pending::<()>().await;
    }
    if desk.is_slow(input.key) {
        let long = Duration::from_millis(options.slow_for);
        if options.freeze {
            freeze(long)
        } else {
            tokio::time::sleep(long).await
        }
    }
    // Spread over the whole range, the same for a record whoever handles it.
    let jitter = (input.id.seq.wrapping_mul(7919) >> 2)
        .checked_rem(options.jitter)
        .unwrap_or(0);
    if options.delay + jitter > 0 {
        tokio::time::sleep(Duration::from_millis(options.delay + jitter)).await;
    }
    if options.panic_every > 0 && call.is_multiple_of(options.panic_every) {
        panic!("call {call} panics on purpose");
    }
    let large = if options.large_key == Some(input.key) {
        options.large
    } else {
        0
    };
    out.send(&DONE, &input.key, output(&input, large))?;
    desk.note(&Deed::Done(input))?;
    desk.die_if(options.die_at_end, call)
}

fn output(input: &Input, padding: usize) -> Done {
    Done {
        producer: input.id.producer,
        seq: input.id.seq,
        partition: input.place.partition,
        offset: input.place.offset,
        padding: "x".repeat(padding),
    }
}

/// Holds this thread and all others of the runtime.
fn freeze(long: Duration) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    for _ in 0..2 * threads {
        tokio::spawn(async move { block(long) });
    }
    block(long);
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is what the row tests: a handler that blocks"
)]
fn block(long: Duration) {
    std::thread::sleep(long);
}

fn numbers(partitions: &Partitions) -> Vec<i32> {
    partitions
        .iter()
        .map(|partition| partition.partition)
        .collect()
}

#[citizenk::on_event(assigned)]
async fn assigned(partitions: Partitions, State(desk): State<Desk>) -> citizenk::Result<()> {
    desk.note(&Deed::Assigned(numbers(&partitions)))
}

#[citizenk::on_event(revoked)]
async fn revoked(partitions: Partitions, State(desk): State<Desk>) -> citizenk::Result<()> {
    desk.note(&Deed::Revoked(numbers(&partitions)))
}

#[citizenk::on_event(startup)]
async fn send(State(desk): State<Desk>, producer: Producer) -> citizenk::Result<()> {
    for seq in 0..desk.options.send {
        let input = Input {
            place: Place::new(0, 0),
            id: Id {
                producer: SENT_AT_START,
                seq,
            },
            key: 0,
        };
        // Sending begins at the call; nobody waits for the answer.
        drop(producer.send(&DONE, &input.key, output(&input, 0)));
    }
    desk.note(&Deed::Mark("sent".into()))
}

/// Runs the service until it is asked to stop.
pub(crate) fn run(options: Options, service: citizenk::cli::RunArgs) -> Exit {
    // Whatever becomes of the program that started this one, it leaves no worker behind.
    if let Err(error) = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL) {
        eprintln!("error: cannot be bound to the program that started this: {error}");
        return Exit::FAILED;
    }
    let journal = match Journal::open(&options.journal) {
        Ok(journal) => journal,
        Err(error) => {
            eprintln!("error: cannot write {}: {error}", options.journal.display());
            return Exit::FAILED;
        }
    };
    let refused = match options.refused {
        Refusal::Retry => {
            Policy::retry(1000).backoff(Duration::from_millis(100), Duration::from_secs(1))
        }
        Refusal::Skip => Policy::skip(),
    };
    let mut app = App::new(AGENT).guarantee(match options.guarantee {
        Guarantee::AtLeastOnce => citizenk::Guarantee::AtLeastOnce,
        Guarantee::ExactlyOnce => citizenk::Guarantee::ExactlyOnce,
    });
    if options.interval > 0 {
        app = app.commit_interval(Duration::from_millis(options.interval));
    }
    if options.keep_producer {
        app = app.without_defence();
    }
    if options.lose_pills {
        app = app.on_decode_error(Policy::skip());
    } else if options.letters {
        app = app.on_decode_error(Policy::dead_letter(&LETTERS));
    }
    let app = app
        .state(Desk {
            options: Arc::new(options),
            journal: Arc::new(journal),
            calls: Arc::default(),
            slow: Arc::default(),
        })
        .on_produce_error(refused)
        .register::<work>()
        .register::<assigned>()
        .register::<revoked>()
        .register::<send>();
    citizenk::cli::Command::Run(service).execute(app)
}
