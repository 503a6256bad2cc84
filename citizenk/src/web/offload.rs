//! Runs the service's own endpoints where its other code runs, so that one that blocks its thread stops
//! neither the server nor health checks.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt as _};

use super::Problem;
use super::assemble::Attach;

/// A router whose requests run on another runtime, when one is given.
#[derive(Clone)]
pub(super) struct Offload {
    inner: Router,
    executor: Option<Handle>,
    attach: Attach,
}

impl Offload {
    pub(super) fn new(inner: Router, executor: Option<Handle>, attach: Attach) -> Self {
        Self {
            inner,
            executor,
            attach,
        }
    }
}

impl Service<Request> for Offload {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        (self.attach)(request.extensions_mut());
        let answer = answer(self.inner.clone(), request);
        let executor = self.executor.clone();
        Box::pin(async move {
            let Some(executor) = executor else {
                return Ok(answer.await);
            };
            // Dropped with this future when the client leaves, and the handler with it, as if it ran
            // here.
            let task = AbortOnDrop(executor.spawn(answer));
            Ok(match task.await {
                Ok(response) => response.map(|body| relayed(body, &executor)),
                // Panics are caught inside, so the runtime is going down.
                Err(_) => Problem::unavailable(
                    "the service is stopping",
                    std::time::Duration::from_secs(1),
                )
                .into_response(),
            })
        })
    }
}

async fn answer(router: Router, request: Request) -> Response {
    let target = format!("{} {}", request.method(), request.uri().path());
    // What a handler leaves behind when it panics is as visible to others as after an abort.
    match AssertUnwindSafe(router.oneshot(request))
        .catch_unwind()
        .await
    {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without text");
            Problem::internal(format!("the handler of {target} panicked: {text}")).into_response()
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Frame = Result<http_body::Frame<Bytes>, axum::Error>;

/// A body that is still to be made is user code too; one that is there already passes as it is.
fn relayed(body: Body, executor: &Handle) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    let (sender, receiver) = mpsc::channel::<Frame>(1);
    executor.spawn(async move {
        let mut body = body;
        loop {
            tokio::select! {
                () = sender.closed() => return,
                frame = body.frame() => {
                    let Some(frame) = frame else { return };
                    if sender.send(frame).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    Body::new(Relay(receiver))
}

struct Relay(mpsc::Receiver<Frame>);

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        self.0.poll_recv(cx)
    }
}
