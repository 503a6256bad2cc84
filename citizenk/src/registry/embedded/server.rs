//! The loopback port of a registry inside this process.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::Shared;
use crate::fetch::Answer;

/// No schema is larger.
const LARGEST: usize = 16 * 1024 * 1024;

/// Ends with its last clone, and every connection with it.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(super) async fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        if let Ok((stream, _)) = accepted {
                            connections.spawn(serve(shared.clone(), stream));
                        }
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            url,
            accepting: accepting.abort_handle(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(|request| answer(&shared, request));
    // A client that leaves or speaks no HTTP: its affair.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => {
            let target = head.uri.path_and_query().map_or("/", |path| path.as_str());
            let authorization = head.headers.get("authorization");
            let authorization = authorization.and_then(|value| value.to_str().ok());
            shared
                .answer(&head.method, target, authorization, &body.to_bytes())
                .await
        }
        Err(_) => Answer {
            status: 413,
            body: Bytes::new(),
        },
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer
        .status
        .try_into()
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/vnd.schemaregistry.v1+json"),
    );
    Ok(response)
}
