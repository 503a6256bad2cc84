//! A load balancer: connections to workers in turn, byte by byte.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a worker may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Connections at once.
const MOST: usize = 1024;
const NOBODY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
    retry-after: 1\r\nconnection: close\r\ncontent-length: 42\r\n\r\n{\"status\":503,\"title\":\"No worker is here\"}";

/// The addresses of the workers; clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    all: Arc<Mutex<Vec<SocketAddr>>>,
    next: Arc<AtomicUsize>,
}

impl Targets {
    /// Replaces the list.
    pub fn set(&self, addresses: Vec<SocketAddr>) {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// All of them, each time beginning with another one.
    #[must_use]
    pub fn in_turn(&self) -> Vec<SocketAddr> {
        let mut all = self
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if !all.is_empty() {
            let first = self.next.fetch_add(1, Ordering::Relaxed) % all.len();
            all.rotate_left(first);
        }
        all
    }
}

/// Takes connections until it is dropped.
///
/// # Errors
/// Accepting fails for good.
pub async fn serve(listener: TcpListener, targets: Targets) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        // Who finds no place waits in the listener's queue.
        let Ok(place) = places.clone().acquire_owned().await else {
            return Ok(());
        };
        let (client, _) = listener.accept().await?;
        let targets = targets.clone();
        tokio::spawn(async move {
            // A connection that breaks is the affair of its two ends.
            let _ = carry(client, &targets).await;
            drop(place);
        });
    }
}

async fn carry(mut client: TcpStream, targets: &Targets) -> io::Result<()> {
    for address in targets.in_turn() {
        // Nothing of the request has been read, so the next worker can have it.
        if let Ok(Ok(mut worker)) = timeout(CONNECT, TcpStream::connect(address)).await {
            copy_bidirectional(&mut client, &mut worker).await?;
            return Ok(());
        }
    }
    client.write_all(NOBODY).await?;
    client.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[test]
    fn the_answer_for_nobody_is_as_long_as_it_says() {
        let text = String::from_utf8_lossy(NOBODY);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.contains(&format!("content-length: {}", body.len())),
            "{text}"
        );
    }

    /// A worker that says who it is.
    async fn worker(name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        });
        address
    }

    async fn ask(address: SocketAddr) -> String {
        let asked = async {
            let mut stream = TcpStream::connect(address).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        let answer = timeout(Duration::from_secs(20), asked).await;
        answer.expect("it answers").expect("it is there")
    }

    #[tokio::test]
    async fn workers_take_turns_and_one_that_is_gone_is_passed_over() {
        let targets = Targets::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let front = listener.local_addr().expect("an address");
        let serving = tokio::spawn(serve(listener, targets.clone()));
        assert!(ask(front).await.starts_with("HTTP/1.1 503"));
        let gone = {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            listener.local_addr().expect("an address")
        };
        targets.set(vec![worker("a").await, gone, worker("b").await]);
        let mut heard = Vec::new();
        for _ in 0..6 {
            heard.push(ask(front).await);
        }
        heard.sort();
        // Whoever stands behind the one that is gone has its turns too.
        assert_eq!(heard, ["a", "a", "b", "b", "b", "b"]);
        serving.abort();
    }
}
