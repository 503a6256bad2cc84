//! Threads that run lanes.
//!
//! In: lanes. Out: nothing; a lane runs until it ends or is abandoned. Lanes stay on their thread, so
//! that a record's data stays in one core's caches; sockets, timers and spawned tasks of user code
//! belong to the shared runtime, which goes on while a lane's thread is blocked.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::lane::LaneFuture;
use super::lane::inbox::Inbox;

/// A call that holds its thread this long is reported by its agent's name.
const HELD_TOO_LONG: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs lanes somewhere.
#[derive(Clone, Debug)]
pub(crate) enum Executor {
    /// On threads of their own.
    Pinned(Arc<Workers>),
    /// As tasks of a runtime: tests with a paused clock.
    Tasks(Handle),
}

/// The threads.
#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
    next: AtomicUsize,
    over: Arc<Over>,
}

#[derive(Debug, Default)]
struct Over {
    flag: Mutex<bool>,
    changed: std::sync::Condvar,
}

#[derive(Debug)]
struct Worker {
    lanes: mpsc::Sender<Seat>,
    pulse: Arc<Pulse>,
    load: Arc<AtomicUsize>,
}

/// A lane with its name.
struct Seat {
    agent: Arc<str>,
    lane: LaneFuture,
}

/// What the watch reads of a worker.
#[derive(Debug, Default)]
struct Pulse {
    /// Counts polls of lanes; odd while one runs.
    beats: AtomicU64,
    agent: Mutex<Option<Arc<str>>>,
    reported: AtomicBool,
}

impl Executor {
    /// Threads for lanes; sockets and timers of their handlers belong to `shared`.
    pub(crate) fn pinned(count: usize, shared: &Handle) -> std::io::Result<Self> {
        let over = Arc::new(Over::default());
        let workers = (0..count.max(1))
            .map(|number| Worker::start(number, shared))
            .collect::<Result<Vec<_>, _>>()?;
        let pulses: Vec<_> = workers.iter().map(|worker| worker.pulse.clone()).collect();
        let watched = over.clone();
        thread::Builder::new()
            .name("citizenk-watch".to_owned())
            .spawn(move || watch(&pulses, &watched))?;
        Ok(Self::Pinned(Arc::new(Workers {
            workers,
            next: AtomicUsize::new(0),
            over,
        })))
    }

    pub(crate) fn spawn(&self, agent: &str, inbox: Arc<Inbox>, lane: LaneFuture) {
        let lane: LaneFuture = Box::pin(async move {
            tokio::select! {
                biased;
                () = inbox.abandoned() => {}
                () = lane => {}
            }
        });
        match self {
            Self::Pinned(workers) => workers.seat(Seat {
                agent: agent.into(),
                lane,
            }),
            Self::Tasks(handle) => drop(handle.spawn(lane)),
        }
    }
}

impl Workers {
    fn seat(&self, seat: Seat) {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.workers.len();
        let quietest = (0..count)
            .map(|step| &self.workers[(start + step) % count])
            .min_by_key(|worker| worker.load.load(Ordering::Relaxed));
        let Some(worker) = quietest else { return };
        worker.load.fetch_add(1, Ordering::Relaxed);
        if worker.lanes.try_send(seat).is_err() {
            tracing::error!(
                "a worker thread does not take lanes; its partitions are not processed"
            );
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        *self
            .over
            .flag
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.over.changed.notify_all();
    }
}

/// More lanes than any worker can have partitions for.
const MAX_NEW_LANES: usize = 100_000;

impl Worker {
    fn start(number: usize, shared: &Handle) -> std::io::Result<Self> {
        let (lanes, mut seats) = mpsc::channel::<Seat>(MAX_NEW_LANES);
        let pulse = Arc::new(Pulse::default());
        let load = Arc::new(AtomicUsize::new(0));
        let (handle, beat, seated) = (shared.clone(), pulse.clone(), load.clone());
        thread::Builder::new().name(format!("citizenk-lane-{number}")).spawn(move || {
            handle.block_on(async move {
                let mut running = FuturesUnordered::new();
                loop {
                    tokio::select! {
                        biased;
                        seat = seats.recv() => match seat {
                            Some(Seat { agent, lane }) => running.push(watched(agent, lane, beat.clone())),
                            None => break,
                        },
                        Some(()) = running.next() => {
                            seated.fetch_sub(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        })?;
        Ok(Self { lanes, pulse, load })
    }
}

/// Lets the watch see which lane is being polled.
async fn watched(agent: Arc<str>, mut lane: LaneFuture, pulse: Arc<Pulse>) {
    std::future::poll_fn(|cx| {
        *pulse.agent.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent.clone());
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        let poll = lane.as_mut().poll(cx);
        pulse.beats.fetch_add(1, Ordering::Relaxed);
        poll
    })
    .await;
}

/// Reports lanes that hold their thread.
fn watch(pulses: &[Arc<Pulse>], over: &Over) {
    let mut seen: Vec<(u64, Instant)> = pulses.iter().map(|_| (0, Instant::now())).collect();
    let mut done = over.flag.lock().unwrap_or_else(PoisonError::into_inner);
    while !*done {
        done = over
            .changed
            .wait_timeout(done, LOOK_EVERY)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        for (pulse, (beats, since)) in pulses.iter().zip(&mut seen) {
            let now = pulse.beats.load(Ordering::Relaxed);
            if now != *beats {
                (*beats, *since) = (now, Instant::now());
                pulse.reported.store(false, Ordering::Relaxed);
            } else if now % 2 == 1
                && since.elapsed() >= HELD_TOO_LONG
                && !pulse.reported.swap(true, Ordering::Relaxed)
            {
                let agent = pulse
                    .agent
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let agent = agent.as_deref().unwrap_or("?");
                tracing::warn!(
                    agent,
                    "the handler has held its thread for over {} s; use `blocking = true`, or await instead of blocking",
                    HELD_TOO_LONG.as_secs()
                );
            }
        }
    }
}
