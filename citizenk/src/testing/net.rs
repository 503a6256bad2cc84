//! The network between the workers of a [`TestApp`], which is none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use tower::ServiceExt as _;

use super::TestApp;
use super::web::{TestResponse, TestWeb};
use crate::app::neighbourhood;
use crate::config::Settings;
use crate::web::{Carried, Carrier, Lost, Neighbourhood, Peer};

/// What a worker is to the others.
#[derive(Clone)]
enum Worker {
    Serves(Router),
    /// It takes requests and answers none.
    Paused,
}

/// Carries requests from worker to worker without sockets.
#[derive(Clone, Default)]
pub(super) struct TestNet {
    workers: Arc<Mutex<BTreeMap<String, Worker>>>,
    /// Requests that were carried, in order: to whom, and what for.
    carried: Arc<Mutex<Vec<(String, String)>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An address of this machine; nobody listens there.
fn url(worker: usize) -> String {
    format!("http://127.0.0.1:{}", worker + 1)
}

impl TestNet {
    pub(super) fn neighbourhood(&self, worker: usize, settings: &Settings) -> Neighbourhood {
        Neighbourhood {
            carrier: Arc::new(self.clone()),
            ..neighbourhood(settings, url(worker))
        }
    }

    pub(super) fn join(&self, worker: usize, web: &TestWeb) {
        lock(&self.workers).insert(url(worker), Worker::Serves(web.router.clone()));
    }

    pub(super) fn leave(&self, worker: Option<usize>) {
        match worker {
            Some(worker) => {
                lock(&self.workers).remove(&url(worker));
            }
            None => lock(&self.workers).clear(),
        }
    }
}

impl Carrier for TestNet {
    fn carry(&self, peer: &Peer, request: Request<Bytes>) -> Carried {
        let what = format!("{} {}", request.method(), request.uri());
        lock(&self.carried).push((peer.url.clone(), what));
        let worker = lock(&self.workers).get(&peer.url).cloned();
        Box::pin(async move {
            let router = match worker {
                None => return Err(Lost::NotSent("connection refused".to_owned())),
                Some(Worker::Paused) => return std::future::pending().await,
                Some(Worker::Serves(router)) => router,
            };
            let answer = match router.oneshot(request.map(Body::from)).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let (parts, body) = answer.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await;
            let body = body.map_err(|error| Lost::Unknown(error.to_string()))?;
            Ok(Response::from_parts(parts, body))
        })
    }
}

impl TestApp {
    pub(super) fn client_id(&self, worker: usize, settings: &Settings) -> String {
        self.net.neighbourhood(worker, settings).client_id()
    }

    /// The address other workers know a worker by, e.g. in `CITIZENK_PEERS`.
    #[must_use]
    pub fn url_of(worker: usize) -> String {
        url(worker)
    }

    /// As [`TestApp::request_with_headers`], to a worker of choice.
    ///
    /// # Panics
    /// When there is no such worker, or as there.
    pub async fn request_to(
        &self,
        worker: usize,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<String>,
    ) -> TestResponse {
        let Some(web) = self.web.get(&worker) else {
            panic!("worker {worker} is not running")
        };
        let router = web.router.clone();
        self.ask(router, method, path, headers, body).await
    }

    /// Lets a worker take requests of others and answer none, as one whose process was stopped by a signal.
    pub fn pause_web(&self, worker: usize) {
        lock(&self.net.workers).insert(url(worker), Worker::Paused);
    }

    /// Cuts a worker's web off: other workers cannot connect to it.
    pub fn cut_web(&self, worker: usize) {
        lock(&self.net.workers).remove(&url(worker));
    }

    /// The requests that workers sent each other since the last call: address, method and path.
    pub fn forwarded(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *lock(&self.net.carried))
    }
}
