//! One connection.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::body::Paced;
use super::room::Slot;
use super::stall::Unstalled;
use super::{Client, Place};
use crate::web::Problem;
use crate::web::config::ServerLimits;

/// Serves connections until told to close.
#[derive(Clone)]
pub(super) struct Connections {
    router: Router,
    limits: ServerLimits,
    http: http1::Builder,
    closing: watch::Receiver<bool>,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        limits: ServerLimits,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(64 * 1024);
        Self {
            router,
            limits,
            http,
            closing,
        }
    }

    pub(super) fn serve(&self, stream: TcpStream, from: IpAddr, slot: Slot) {
        let Self {
            router,
            limits,
            http,
            mut closing,
        } = self.clone();
        // Answers are written whole; waiting for more would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        tokio::spawn(async move {
            let place = Place(std::sync::Arc::new(slot));
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(place.clone());
                request.extensions_mut().insert(Client(from));
                answer(router.clone(), limits, request)
            });
            let stream = Unstalled::new(stream, limits.write_timeout);
            let connection = http
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::pin!(connection);
            let result = tokio::select! {
                result = connection.as_mut() => result,
                // Also when the server is gone.
                () = async { drop(closing.wait_for(|closing| *closing).await) } => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = result {
                // Clients that leave, time out or speak no HTTP: their affair.
                tracing::debug!(%error, "connection");
            }
        });
    }

    /// Says that there are too many connections, and closes.
    pub(super) fn refuse(stream: &TcpStream) {
        const BODY: &str = r#"{"title":"Service Unavailable","status":503,"detail":"too many connections; try again"}"#;
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {}\r\nretry-after: 1\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{BODY}",
            Problem::MEDIA_TYPE,
            BODY.len()
        );
        // It fits the buffer of a fresh socket; a client that is gone needs none.
        let _ = stream.try_write(answer.as_bytes());
    }
}

/// What hyper lets through and a proxy in front may understand differently (RFC 9112 §3.2). A request with
/// two lengths needs nothing here: hyper reads it by its chunks alone and closes the connection after it.
fn check_head(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Err(Problem::bad_request(
            "a request has exactly one Host header",
        ));
    }
    Ok(())
}

async fn answer(
    router: Router,
    limits: ServerLimits,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if let Err(problem) = check_head(request.version(), request.headers()) {
        let mut response = problem.into_response();
        // What follows on this connection cannot be trusted to begin where it seems to.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Ok(response);
    }
    let request = request.map(|body| Body::new(Paced::new(body, limits)));
    router.oneshot(request).await
}
