//! One request to another worker.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::owner::{Peer, may_be_peer};

/// How long a worker may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The largest answer that is passed on, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The other worker has seen nothing of it.
    NotSent(String),
    /// It may have been carried out.
    Unknown(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(text) | Self::Unknown(text) => f.write_str(text),
        }
    }
}

pub(crate) type Carried =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, Lost>> + Send + 'static>>;

/// Takes requests to workers. The caller says how long that may take.
pub(crate) trait Carrier: Send + Sync {
    fn carry(&self, peer: &Peer, request: Request<Bytes>) -> Carried;
}

/// By HTTP/1.1, each on a connection of its own: none that the other side is closing right now, so what was
/// not sent is known.
#[derive(Debug)]
pub(crate) struct Sockets;

impl Carrier for Sockets {
    fn carry(&self, peer: &Peer, request: Request<Bytes>) -> Carried {
        let (host, port) = (peer.host.clone(), peer.port);
        Box::pin(async move {
            let stream = timeout(CONNECT, connect(&host, port))
                .await
                .map_err(|_| Lost::NotSent("it does not accept connections".to_owned()))??;
            let broken = |error: hyper::Error| Lost::Unknown(error.to_string());
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| Lost::NotSent(error.to_string()))?;
            // Ends with the answer, or when this is dropped: the sender is gone then.
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection to another worker");
                }
            });
            let answer = sender.send_request(request.map(Full::new)).await;
            let (parts, body) = answer.map_err(broken)?.into_parts();
            let body = Limited::new(body, LARGEST).collect().await;
            let body = body.map_err(|error| Lost::Unknown(error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        })
    }
}

/// Resolves once and connects to what was looked at.
async fn connect(host: &str, port: u16) -> Result<TcpStream, Lost> {
    let not_sent = |error: std::io::Error| Lost::NotSent(error.to_string());
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(not_sent)?;
    let mut last = Lost::NotSent("its name leads to no address of a worker".to_owned());
    for address in found.filter(|address: &SocketAddr| may_be_peer(address.ip())) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // One request, written whole.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = not_sent(error),
        }
    }
    Err(last)
}
