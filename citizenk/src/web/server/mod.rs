//! The socket side: accepts, limits what one client may take, serves a router, stops in time.
//!
//! In: a bound address and a router. Out: a running [`Server`]. It owns one thread with a runtime of its
//! own, so that nothing else in the process can keep health checks waiting. Not `axum::serve`: that has
//! neither a header timeout nor a limit of connections.

mod body;
mod connection;
mod room;
mod stall;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{oneshot, watch};

use self::connection::Connections;
use self::room::{Room, Slot};
use super::config::ServerLimits;
use crate::error::RunError;

/// An address that is taken and not served yet. Clients that connect now wait.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes an address such as `127.0.0.1:8000`; port 0 takes a free one.
    pub(crate) fn bind(address: &str) -> Result<Self, RunError> {
        let listen = |source| RunError::Listen {
            address: address.to_owned(),
            source,
        };
        let listener = TcpListener::bind(address).map_err(listen)?;
        let local = listener.local_addr().map_err(listen)?;
        Ok(Self {
            listener,
            address: local,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts serving on a thread of its own.
    pub(crate) fn serve(
        self,
        router: Router,
        mut limits: ServerLimits,
    ) -> Result<Server, RunError> {
        let address = self.address;
        let open_files = room::open_files();
        let connections = room::within(limits.connections, open_files);
        if connections < limits.connections {
            tracing::info!(
                open_files,
                "HTTP takes {connections} connections at once instead of {}, so that the Kafka clients keep files; `ulimit -n` raises the limit of open files",
                limits.connections,
            );
            limits.connections = connections;
        }
        let failed = |source| RunError::Listen {
            address: address.to_string(),
            source,
        };
        self.listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // For what blocks inside this runtime, e.g. static files.
            .thread_name("citizenk-web-blocking")
            .build()
            .map_err(failed)?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(failed)?
        };
        let (stop, stopped) = oneshot::channel();
        let (done, finished) = oneshot::channel();
        std::thread::Builder::new()
            .name("citizenk-web".to_owned())
            .spawn(move || {
                let left = runtime.block_on(run(listener, router, limits, stopped));
                // Connections that are left are closed here, and not waited for.
                runtime.shutdown_background();
                // Nobody waits when the server was dropped.
                let _ = done.send(left);
            })
            .map_err(failed)?;
        tracing::info!(%address, "serving HTTP");
        Ok(Server { stop, finished })
    }
}

/// A running server; dropping it closes everything at once.
#[derive(Debug)]
pub(crate) struct Server {
    stop: oneshot::Sender<Duration>,
    finished: oneshot::Receiver<usize>,
}

impl Server {
    /// Accepts no more, lets started requests end within the deadline, closes the rest, and answers how
    /// many connections that were.
    pub(crate) async fn shutdown(self, deadline: Duration) -> usize {
        // Both ends fail only when the thread is gone already.
        let _ = self.stop.send(deadline);
        self.finished.await.unwrap_or(0)
    }
}

async fn run(
    listener: tokio::net::TcpListener,
    router: Router,
    limits: ServerLimits,
    mut stopped: oneshot::Receiver<Duration>,
) -> usize {
    let room = Room::new(limits.connections);
    let (closing, watch_closing) = watch::channel(false);
    let connections = Connections::new(router, limits, watch_closing);
    let mut trouble = Trouble::default();
    let deadline = loop {
        tokio::select! {
            // Dropping the server is a stop without delay.
            deadline = &mut stopped => break deadline.unwrap_or_default(),
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    trouble.over();
                    match room.take(from.ip()) {
                        Some(slot) => connections.serve(stream, from.ip(), slot),
                        None => Connections::refuse(&stream),
                    }
                }
                Err(error) if of_the_connection(&error) => {}
                Err(error) => trouble.wait(&error).await,
            },
        }
    };
    drop(listener);
    // No receiver is left when no connection is.
    let _ = closing.send(true);
    let idle = room.until_empty(limits.connections);
    match tokio::time::timeout(deadline, idle).await {
        Ok(()) => 0,
        Err(_) => limits.connections - room.free(),
    }
}

/// The client was gone before it was accepted.
fn of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Trouble of the process, usually no free file descriptor. The waiting connection stays in the queue,
/// so trying again at once would spin.
#[derive(Default)]
struct Trouble {
    reported: bool,
}

impl Trouble {
    async fn wait(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.reported, true) {
            tracing::warn!(
                %error,
                "no connection can be accepted; trying on (is the limit of open files too low?)"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.reported) {
            tracing::info!("connections are accepted again");
        }
    }
}

/// A connection's place, in the extensions of its requests.
#[derive(Clone, Debug)]
pub(in crate::web) struct Place(#[expect(dead_code, reason = "held, not read")] Arc<Slot>);

/// Where a request's connection comes from, in its extensions; nothing in tests without sockets.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Client(pub(in crate::web) IpAddr);
