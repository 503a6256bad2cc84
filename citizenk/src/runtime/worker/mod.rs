//! Threads that run lanes.
//!
//! In: lanes. Out: nothing; a lane runs until it ends or is abandoned. Lanes stay on their thread, so
//! that a record's data stays in one core's caches; they begin on the first one, and some move when it
//! is saturated ([`spread`]). Sockets, timers and spawned tasks of user code belong to the shared
//! runtime, which goes on while a lane's thread is blocked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

mod spread;

use self::spread::{LaneNumber, Move, Seen, WINDOW};
use super::heart::Heart;
use super::lane::LaneFuture;
use super::lane::inbox::{EndGuard, Inbox};

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
    inner: Arc<Inner>,
    over: Arc<Over>,
}

#[derive(Debug)]
struct Inner {
    workers: Vec<Worker>,
    /// Polling threads to look after.
    hearts: Mutex<Vec<Weak<Heart>>>,
    /// The number of the next lane.
    next: AtomicU64,
    orders: Arc<Orders>,
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
}

/// A lane with its agent's name.
struct Seat {
    number: LaneNumber,
    agent: Arc<str>,
    lane: LaneFuture,
}

/// What the watch reads of a worker.
#[derive(Debug, Default)]
struct Pulse {
    /// Counts polls of lanes; odd while one runs.
    beats: AtomicU64,
    running: Mutex<Option<(LaneNumber, Arc<str>)>>,
    reported: AtomicBool,
}

impl Executor {
    /// Threads for lanes; sockets and timers of their handlers belong to `shared`.
    pub(crate) fn pinned(count: usize, shared: &Handle) -> std::io::Result<Self> {
        let over = Arc::new(Over::default());
        let (workers, seats): (Vec<_>, Vec<_>) = (0..count.max(1)).map(|_| Worker::new()).unzip();
        let inner = Arc::new(Inner {
            workers,
            hearts: Mutex::default(),
            next: AtomicU64::new(0),
            orders: Arc::default(),
        });
        for (number, seats) in seats.into_iter().enumerate() {
            inner.start(number, seats, shared)?;
        }
        let (watched, until) = (Arc::downgrade(&inner), over.clone());
        thread::Builder::new()
            .name("citizenk-watch".to_owned())
            .spawn(move || watch(&watched, &until))?;
        Ok(Self::Pinned(Arc::new(Workers { inner, over })))
    }

    /// Reports this polling thread when it does not come round. Without threads of our own nobody could
    /// see that: then the heart is looked at when somebody asks for the health.
    pub(crate) fn watch(&self, heart: &Arc<Heart>) {
        if let Self::Pinned(workers) = self {
            let mut hearts = workers
                .inner
                .hearts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            hearts.retain(|known| known.strong_count() > 0);
            hearts.push(Arc::downgrade(heart));
        }
    }

    pub(crate) fn spawn(&self, agent: &str, inbox: Arc<Inbox>, lane: LaneFuture) {
        // Also of a lane that is abandoned before it is polled for the first time.
        let end = EndGuard::new(inbox.clone());
        let lane: LaneFuture = Box::pin(async move {
            let _end = end;
            tokio::select! {
                biased;
                () = inbox.abandoned() => {}
                () = lane => {}
            }
        });
        match self {
            Self::Pinned(workers) => {
                let number = workers.inner.next.fetch_add(1, Ordering::Relaxed);
                let seat = Seat {
                    number,
                    agent: agent.into(),
                    lane,
                };
                workers.inner.seat(seat, 0);
            }
            Self::Tasks(handle) => drop(handle.spawn(lane)),
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

impl Executor {
    /// Runs something beside the lanes that may block its thread.
    pub(crate) fn run_aside(
        &self,
        name: &str,
        shared: &Handle,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        match self {
            Self::Pinned(_) => {
                let handle = shared.clone();
                thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || handle.block_on(work))
                    .map(drop)
            }
            Self::Tasks(handle) => {
                handle.spawn(work);
                Ok(())
            }
        }
    }
}

/// More lanes than any worker can have partitions for.
const MAX_NEW_LANES: usize = 100_000;

impl Worker {
    fn new() -> (Self, mpsc::Receiver<Seat>) {
        let (lanes, seats) = mpsc::channel(MAX_NEW_LANES);
        let pulse = Arc::default();
        (Self { lanes, pulse }, seats)
    }
}

impl Inner {
    fn seat(&self, seat: Seat, worker: usize) {
        let seated = self
            .workers
            .get(worker)
            .is_some_and(|worker| worker.lanes.try_send(seat).is_ok());
        if !seated {
            tracing::error!(
                "a worker thread does not take lanes; its partitions are not processed"
            );
        }
    }

    fn start(
        self: &Arc<Self>,
        number: usize,
        mut seats: mpsc::Receiver<Seat>,
        shared: &Handle,
    ) -> std::io::Result<()> {
        let (handle, pulse) = (shared.clone(), self.workers[number].pulse.clone());
        let orders = self.orders.clone();
        // Weak: the senders in it are what ends the thread when they go.
        let inner = Arc::downgrade(self);
        thread::Builder::new()
            .name(format!("citizenk-lane-{number}"))
            .spawn(move || {
                handle.block_on(async move {
                    let mut running = FuturesUnordered::new();
                    loop {
                        tokio::select! {
                            biased;
                            seat = seats.recv() => match seat {
                                Some(seat) => running.push(seat.run(number, pulse.clone(), orders.clone())),
                                None => break,
                            },
                            Some(moved) = running.next() => {
                                if let (Some((seat, to)), Some(inner)) = (moved, inner.upgrade()) {
                                    inner.seat(seat, to);
                                }
                            }
                        }
                    }
                });
            })
            .map(drop)
    }
}

/// Lanes that have to move, and where to.
#[derive(Debug, Default)]
struct Orders {
    moves: Mutex<BTreeMap<LaneNumber, usize>>,
    /// Whether there are any.
    any: AtomicBool,
}

impl Orders {
    /// Where this lane has to move, if it has to.
    fn destination(&self, lane: LaneNumber) -> Option<usize> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let to = moves.remove(&lane);
        self.any.store(!moves.is_empty(), Ordering::Release);
        to
    }

    fn set(&self, moves: Vec<Move>) {
        if moves.is_empty() {
            return;
        }
        tracing::info!(
            lanes = moves.len(),
            "a worker thread is saturated; moving lanes to another one"
        );
        // Orders of an earlier window are stale: their lanes may have ended.
        *self.moves.lock().unwrap_or_else(PoisonError::into_inner) = moves
            .into_iter()
            .map(|order| (order.lane, order.to))
            .collect();
        self.any.store(true, Ordering::Release);
    }
}

impl Seat {
    /// Runs the lane to its end (`None`), or until it has to move: then it is handed on with the worker
    /// it goes to. Lets the watch see which lane is being polled.
    async fn run(
        self,
        worker: usize,
        pulse: Arc<Pulse>,
        orders: Arc<Orders>,
    ) -> Option<(Self, usize)> {
        let Self {
            number,
            agent,
            mut lane,
        } = self;
        let to = std::future::poll_fn(|cx| {
            *pulse.running.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((number, agent.clone()));
            pulse.beats.fetch_add(1, Ordering::Relaxed);
            let poll = lane.as_mut().poll(cx);
            pulse.beats.fetch_add(1, Ordering::Relaxed);
            if poll.is_ready() {
                return Poll::Ready(None);
            }
            match orders.destination(number) {
                Some(to) if to != worker => Poll::Ready(Some(to)),
                _ => Poll::Pending,
            }
        })
        .await?;
        // What woke the lane here is forgotten: it is polled at its new place at once.
        Some((
            Self {
                number,
                agent,
                lane,
            },
            to,
        ))
    }
}

/// Reports lanes that hold their thread, and spreads lanes of a saturated one.
fn watch(inner: &Weak<Inner>, over: &Over) {
    let mut seen: Vec<(u64, Instant)> = Vec::new();
    let mut window: Vec<Seen> = Vec::new();
    let mut looks = 0;
    let mut done = over.flag.lock().unwrap_or_else(PoisonError::into_inner);
    while !*done {
        done = over
            .changed
            .wait_timeout(done, LOOK_EVERY)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        let Some(inner) = inner.upgrade() else { return };
        seen.resize_with(inner.workers.len(), || (0, Instant::now()));
        window.resize_with(inner.workers.len(), Seen::default);
        for ((worker, (beats, since)), window) in
            inner.workers.iter().zip(&mut seen).zip(&mut window)
        {
            let pulse = &worker.pulse;
            let now = pulse.beats.load(Ordering::Relaxed);
            let running = pulse
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
                .filter(|_| now % 2 == 1);
            window.look(running.as_ref().map(|(lane, _)| *lane));
            if now != *beats {
                (*beats, *since) = (now, Instant::now());
                pulse.reported.store(false, Ordering::Relaxed);
            } else if let Some((_, agent)) = running
                && since.elapsed() >= HELD_TOO_LONG
                && !pulse.reported.swap(true, Ordering::Relaxed)
            {
                tracing::warn!(
                    agent = &*agent,
                    "the handler has held its thread for over {} s; use `blocking = true`, or await instead of blocking",
                    HELD_TOO_LONG.as_secs()
                );
            }
        }
        let now = tokio::time::Instant::now();
        for heart in inner
            .hearts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            if let Some(heart) = heart.upgrade() {
                heart.check(now);
            }
        }
        looks += 1;
        if looks == WINDOW {
            looks = 0;
            inner
                .orders
                .set(spread::moves(&std::mem::take(&mut window)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::mpsc::channel;
    use std::thread::ThreadId;

    use super::*;
    use crate::runtime::lane::inbox::{Closing, Poller, Room};

    #[test]
    fn a_lane_that_is_abandoned_before_its_first_poll_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let inbox = Arc::new(Inbox::new(Room::of(1), Arc::new(Poller::default())));
        let lane = Box::pin(async { unreachable!("nobody polls it") });
        Executor::Tasks(runtime.handle().clone()).spawn("late", inbox.clone(), lane);
        inbox.close(Closing::Abandon, None);
        runtime.block_on(tokio::task::yield_now());
        assert!(inbox.is_over());
    }

    /// Busy lanes that yield often: they begin on one thread and end up on two.
    #[test]
    fn lanes_of_a_saturated_worker_spread() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let executor = Executor::pinned(2, runtime.handle()).expect("threads");
        let (report, places) = channel::<(u32, ThreadId)>();
        let stop = Arc::new(AtomicBool::new(false));
        for lane in 0..4_u32 {
            let (report, stop) = (report.clone(), stop.clone());
            let inbox = Arc::new(Inbox::new(Room::of(1), Arc::new(Poller::default())));
            executor.spawn(
                "busy",
                inbox,
                Box::pin(async move {
                    let mut last = None;
                    while !stop.load(Ordering::Relaxed) {
                        let here = thread::current().id();
                        if last.replace(here) != Some(here) {
                            let _ = report.send((lane, here));
                        }
                        let begun = Instant::now();
                        while begun.elapsed() < Duration::from_millis(1) {
                            std::hint::spin_loop();
                        }
                        tokio::task::yield_now().await;
                    }
                }),
            );
        }
        let mut threads = BTreeSet::new();
        let mut first = None;
        let begun = Instant::now();
        while threads.len() < 2 {
            let left = Duration::from_secs(20).saturating_sub(begun.elapsed());
            let (_, place) = places.recv_timeout(left).expect("lanes spread within 20 s");
            first.get_or_insert(place);
            threads.insert(format!("{place:?}"));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(
            begun.elapsed() >= LOOK_EVERY,
            "at first one worker has them all"
        );
    }
}
