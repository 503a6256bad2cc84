//! Sockets of clients: one buffer for all that a thread reads, and none that a silent client holds.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::thread;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Result, wire};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// The whole of a child's work, on one thread.
pub(super) fn on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// The end a child is told by its standard input's end, also when its parent is gone.
#[derive(Clone)]
pub(super) struct End(watch::Receiver<()>);

impl End {
    pub(super) fn watch() -> Self {
        let (open, ended) = watch::channel(());
        thread::spawn(move || {
            // Whatever ends it: nobody is there any more.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            drop(open);
        });
        Self(ended)
    }

    pub(super) async fn wait(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Sends all of it.
pub(super) async fn send(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What comes next, at least one byte; an error at the end. Dropped on the way it loses nothing.
pub(super) async fn receive<T>(
    stream: &mut TcpStream,
    mut take: impl FnMut(&[u8]) -> T,
) -> io::Result<T> {
    poll_fn(|context| {
        SCRATCH.with_borrow_mut(|scratch| -> Poll<io::Result<T>> {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
            Poll::Ready(match buffer.filled() {
                [] => Err(ErrorKind::UnexpectedEof.into()),
                bytes => Ok(take(bytes)),
            })
        })
    })
    .await
}

/// A connection that is kept for request after request.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Read and not used yet.
    pub(super) left: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(port: u16) -> io::Result<Self> {
        Self::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?)
    }

    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            left: Vec::new(),
        })
    }

    /// Sends a request and reads its answer; the status.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        send(&self.stream, request).await?;
        loop {
            if let Some(answer) = wire::answer(&self.left)? {
                self.left.drain(..answer.length);
                return Ok(answer.status);
            }
            let Self { stream, left } = self;
            receive(stream, |bytes| left.extend_from_slice(bytes)).await?;
        }
    }

    /// Becomes a websocket.
    pub(super) async fn upgraded(mut self, path: &str) -> Result<Self> {
        match self.ask(&wire::upgrade(path)).await? {
            101 => Ok(self),
            status => Err(format!("{path}: {status} instead of a websocket").into()),
        }
    }
}

/// Answers every request with the same few bytes: what a generator of requests costs by itself.
pub(super) async fn serve_nothing(listener: TcpListener) -> io::Result<()> {
    const NOTHING: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n7";
    loop {
        let (stream, _) = listener.accept().await?;
        let mut connection = Connection::new(stream)?;
        tokio::task::spawn_local(async move {
            // A client that leaves is none the less served.
            let _: io::Result<()> = async {
                loop {
                    let Connection { stream, left } = &mut connection;
                    receive(stream, |bytes| left.extend_from_slice(bytes)).await?;
                    while let Some(head) = wire::head(left) {
                        left.drain(..head);
                        send(stream, NOTHING).await?;
                    }
                }
            }
            .await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_on_one_connection_are_answered_in_turn() {
        let served = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            tokio::task::spawn_local(serve_nothing(listener));
            let mut connection = Connection::open(port).await?;
            let mut statuses = Vec::new();
            for _ in 0..3 {
                statuses.push(connection.ask(&wire::get("/any")).await?);
            }
            let refused = connection.upgraded("/live").await;
            Ok((statuses, refused.err().map(|error| error.to_string())))
        };
        let (statuses, refused) = on_one_thread(served).unwrap();
        assert_eq!(statuses, [200, 200, 200]);
        assert_eq!(
            refused.as_deref(),
            Some("/live: 200 instead of a websocket")
        );
    }
}
