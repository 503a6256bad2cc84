//! Websocket clients, all in one process.
//!
//! In: how many. Out, line by line: that all are connected, that each has got something, and in the end what
//! they got: how much, in what order, how long after it was written. Some may be stalled: they take
//! nothing once they are connected.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;
use tokio::sync::Notify;

use super::service::{LIVE, Tick, now};
use super::socket::{Connection, End, on_one_thread, receive, send};
use super::wire;
use super::{PATIENCE, Result};
use crate::stats::percentile_of;

/// So many connect at once: more would only wait in the listener's queue.
const AT_ONCE: usize = 64;
/// Of a stalled client, in bytes.
const SMALL_BUFFER: u32 = 4 * 1024;

#[derive(Debug, Args)]
pub(crate) struct ClientsRun {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    clients: usize,
    /// That count, for each
    #[arg(long, default_value_t = 0)]
    values: u64,
    /// Besides
    #[arg(long, default_value_t = 0)]
    stalled: usize,
}

/// The first line: all are connected.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Connected {
    /// Ports of those that take nothing.
    pub(super) stalled: Vec<u16>,
}

/// The last line: what they got of the ticks that count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Received {
    pub(super) deliveries: u64,
    /// Of them twice, or after a later one.
    pub(super) disordered: u64,
    /// Clients whose connection ended.
    pub(super) lost: usize,
    /// Microseconds from writing to receipt; what did not come has taken as long as anybody waits.
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) most: u64,
}

/// How far one client is.
#[derive(Debug, Default)]
struct Course {
    heard: bool,
    /// The last tick that counts.
    at: u64,
}

#[derive(Debug, Default)]
struct Tally {
    /// Clients that have got anything, and that have got the last tick.
    heard: usize,
    finished: usize,
    received: Received,
    delays: Vec<u64>,
}

impl Tally {
    fn take(&mut self, course: &mut Course, tick: &Tick, at: u64) {
        self.heard += usize::from(!std::mem::replace(&mut course.heard, true));
        if tick.sequence == 0 {
            return;
        }
        let received = &mut self.received;
        received.deliveries += 1;
        if tick.sequence <= course.at {
            received.disordered += 1;
            return;
        }
        course.at = tick.sequence;
        self.delays.push(at.saturating_sub(tick.written) / 1000);
        self.finished += usize::from(tick.last);
    }

    /// Of so many that there were to be.
    fn received(&self, wanted: u64) -> Received {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let never = u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
        let percentile = |percent| percentile_of(&delays, wanted, percent, never);
        Received {
            p50: percentile(50.0),
            p99: percentile(99.0),
            most: percentile(100.0),
            ..self.received.clone()
        }
    }
}

#[derive(Default)]
struct Shared {
    tally: RefCell<Tally>,
    changed: Notify,
}

impl Shared {
    async fn until(&self, is: impl Fn(&Tally) -> bool) {
        loop {
            let changed = self.changed.notified();
            if is(&self.tally.borrow()) {
                return;
            }
            changed.await;
        }
    }
}

pub(super) fn run(run: &ClientsRun) -> Result<()> {
    on_one_thread(all(run))
}

async fn all(run: &ClientsRun) -> Result<()> {
    let (mut end, shared) = (End::watch(), Rc::new(Shared::default()));
    let opening = stream::iter(0..run.clients).map(|_| open(run.port));
    let mut opening = opening.buffer_unordered(AT_ONCE);
    while let Some(connection) = opening.next().await {
        tokio::task::spawn_local(follow(connection?, shared.clone()));
    }
    let mut stalled: Vec<Connection> = Vec::new();
    for _ in 0..run.stalled {
        stalled.push(open_stalled(run.port).await?);
    }
    let mut ports = Vec::new();
    for connection in &stalled {
        ports.push(connection.stream.local_addr()?.port());
    }
    println!("{}", serde_json::to_string(&Connected { stalled: ports })?);
    tokio::select! {
        () = shared.until(|tally| tally.heard + tally.received.lost >= run.clients) => {
            println!("true");
        }
        () = end.wait() => {}
    }
    tokio::select! {
        () = shared.until(|tally| tally.finished + tally.received.lost >= run.clients) => {}
        () = end.wait() => {}
    }
    let wanted = run.values * run.clients as u64;
    let received = shared.tally.borrow().received(wanted);
    println!("{}", serde_json::to_string(&received)?);
    // Leaving is work for the service, which may still be looked at.
    end.wait().await;
    drop(stalled);
    Ok(())
}

async fn open(port: u16) -> Result<Connection> {
    Connection::open(port).await?.upgraded(LIVE).await
}

async fn open_stalled(port: u16) -> Result<Connection> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SMALL_BUFFER)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Connection::new(socket.connect(address).await?)?
        .upgraded(LIVE)
        .await
}

async fn follow(mut connection: Connection, shared: Rc<Shared>) {
    if let Err(error) = listen(&mut connection, &shared).await {
        let mut tally = shared.tally.borrow_mut();
        if tally.received.lost == 0 {
            eprintln!("a client was lost: {error}");
        }
        tally.received.lost += 1;
        shared.changed.notify_waiters();
    }
}

async fn listen(connection: &mut Connection, shared: &Shared) -> Result<()> {
    let mut course = Course::default();
    let mut pongs = Vec::new();
    let Connection { stream, left } = connection;
    // What came with the answer to the upgrade.
    let first = std::mem::take(left);
    let mut taken = take(&first, left, &mut course, &mut pongs, shared);
    loop {
        taken?;
        for pong in pongs.drain(..) {
            send(stream, &pong).await?;
        }
        taken = receive(stream, |bytes| {
            if left.is_empty() {
                take(bytes, left, &mut course, &mut pongs, shared)
            } else {
                let mut whole = std::mem::take(left);
                whole.extend_from_slice(bytes);
                take(&whole, left, &mut course, &mut pongs, shared)
            }
        })
        .await?;
    }
}

/// Takes whole frames; what is left of the bytes is kept.
fn take(
    mut bytes: &[u8],
    left: &mut Vec<u8>,
    course: &mut Course,
    pongs: &mut Vec<Vec<u8>>,
    shared: &Shared,
) -> Result<()> {
    let mut tally = shared.tally.borrow_mut();
    let before = (tally.heard, tally.finished);
    while let Some(frame) = wire::frame(bytes)? {
        match frame.opcode {
            wire::TEXT => {
                let tick: Tick = serde_json::from_slice(frame.payload)?;
                tally.take(course, &tick, now());
            }
            wire::PING => pongs.push(wire::masked(wire::PONG, frame.payload)),
            wire::CLOSE => return Err("the service closed the websocket".into()),
            _ => {}
        }
        bytes = &bytes[frame.length..];
    }
    if (tally.heard, tally.finished) != before {
        shared.changed.notify_waiters();
    }
    left.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(sequence: u64, last: bool) -> Tick {
        Tick {
            sequence,
            written: 1_000_000,
            last,
            padding: String::new(),
        }
    }

    #[test]
    fn gaps_repeats_and_the_end_are_counted_for_each_client() {
        let mut tally = Tally::default();
        let (mut one, mut other) = (Course::default(), Course::default());
        for sequence in [0, 0, 1, 2, 5, 4] {
            tally.take(&mut one, &tick(sequence, false), 3_000_000);
        }
        assert_eq!((tally.heard, tally.finished), (1, 0));
        tally.take(&mut other, &tick(1, true), 9_000_000);
        assert_eq!((tally.heard, tally.finished), (2, 1));
        let expected = Received {
            deliveries: 5,
            disordered: 1,
            lost: 0,
            p50: 2000,
            p99: 8000,
            most: 8000,
        };
        assert_eq!(tally.received(0), expected);
        // Of six that were to come, two did not.
        let expected = Received {
            p99: 30_000_000,
            most: 30_000_000,
            ..expected
        };
        assert_eq!(tally.received(6), expected);
    }

    #[test]
    fn frames_in_pieces_are_put_together_and_pings_answered() {
        let shared = Shared::default();
        let (mut course, mut pongs, mut left) = (Course::default(), Vec::new(), Vec::new());
        let text = serde_json::to_vec(&tick(1, true)).unwrap();
        let mut bytes = vec![0x80 | wire::PING, 1, b'p', 0x80 | wire::TEXT];
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend_from_slice(&text);
        let (begin, rest) = bytes.split_at(20);
        take(begin, &mut left, &mut course, &mut pongs, &shared).unwrap();
        assert_eq!(pongs, [wire::masked(wire::PONG, b"p")]);
        assert_eq!(left, begin[3..]);
        let whole = [&std::mem::take(&mut left), rest].concat();
        take(&whole, &mut left, &mut course, &mut pongs, &shared).unwrap();
        assert!(left.is_empty());
        assert_eq!(shared.tally.borrow().finished, 1);
    }
}
