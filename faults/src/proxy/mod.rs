//! What stands between the clients and one broker, and breaks the way between them.
//!
//! In: connections of clients, frame by frame. Out: the same frames to and from the broker, as the
//! current [`Mode`] lets them. The mode is switched while connections are open; what is held back stays
//! in order and goes on when the mode allows it, as behind a network that was cut and is whole again.

pub(crate) mod frame;
mod pump;

#[cfg(test)]
mod tests;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the way to a broker is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    #[default]
    Pass,
    /// Nobody listens; open connections are closed.
    Refuse,
    /// Open connections are closed, new ones are taken and reset.
    Reset,
    /// Black hole: nothing passes in the given directions until the mode changes.
    Hold { requests: bool, responses: bool },
    /// Every frame comes later, by `delay` and at most `jitter` more, and at most so many bytes per
    /// second pass in each direction.
    Slow {
        delay: Duration,
        jitter: Duration,
        rate: Option<u32>,
    },
    /// A frame longer than this is cut there and its connection closed.
    Cut { after: usize },
    /// Flips a bit of a record in every n-th answer to a fetch.
    Flip { every: usize },
    /// Only calls with this key.
    Call { key: i16, fault: CallFault },
}

/// What happens to chosen calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallFault {
    /// The request stays away from the broker until the mode changes, whatever its sender does meanwhile.
    HoldRequest,
    /// The request is gone; its connection stays, and whatever else is on it passes. Of workers only: observers
    /// do not name themselves.
    LoseRequest,
    /// The broker acts, its answer stays away until the mode changes.
    HoldResponse,
    /// The request arrives that much later.
    DelayRequest(Duration),
    /// The broker acts, its answer is lost together with the connection.
    DropResponse,
    /// As `HoldRequest`, but only the first one at this broker since the switch: its retry passes.
    HoldFirstRequest,
    /// As `DropResponse`, likewise.
    DropFirstResponse,
}

#[derive(Debug)]
struct Shared {
    upstream: AtomicU16,
    mode: watch::Sender<Mode>,
    /// How many frames met a fault of their own.
    hits: AtomicUsize,
}

/// The way to one broker.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port; where to is said later, for the broker has to know this port first.
    pub(crate) fn start(runtime: &Handle) -> io::Result<Self> {
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream: AtomicU16::new(0),
            mode: watch::Sender::new(Mode::Pass),
            hits: AtomicUsize::new(0),
        });
        let accepting = runtime.spawn(accept(listener, port, shared.clone()));
        Ok(Self {
            port,
            shared,
            accepting,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn lead_to(&self, port: u16) {
        self.shared.upstream.store(port, Ordering::Relaxed);
    }

    pub(crate) fn switch(&self, mode: Mode) {
        self.shared.hits.store(0, Ordering::Relaxed);
        self.shared.mode.send_replace(mode);
    }

    /// How many frames met the fault since the last switch.
    pub(crate) fn hits(&self) -> usize {
        self.shared.hits.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.mode.send_replace(Mode::Refuse);
    }
}

async fn accept(first: TcpListener, port: u16, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    let mut listener = Some(first);
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Refuse {
            listener = None;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listening = match listener.take() {
            Some(listening) => listening,
            None => match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                Ok(listening) => listening,
                Err(error) => {
                    eprintln!("warning: the proxy lost its port {port}: {error}");
                    return;
                }
            },
        };
        tokio::select! {
            accepted = listening.accept() => match accepted {
                Ok((client, _)) if now == Mode::Reset => reset(&client),
                Ok((client, _)) => {
                    tokio::spawn(connect(client, shared.clone()));
                }
                Err(error) => eprintln!("warning: the proxy cannot take a connection: {error}"),
            },
            changed = mode.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        listener = Some(listening);
    }
}

/// Closing it now sends a reset instead of an end.
fn reset(stream: &TcpStream) {
    // It may be closed already.
    let _ = stream.set_zero_linger();
}

async fn connect(client: TcpStream, shared: Arc<Shared>) {
    let upstream = shared.upstream.load(Ordering::Relaxed);
    match TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await {
        Ok(broker) => pump::run(client, broker, shared).await,
        // The broker is down: its client learns it as if it had asked itself.
        Err(_) => reset(&client),
    }
}
