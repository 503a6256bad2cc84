//! A registry inside this process, so that an example runs alone and a test can make it fail.
//!
//! In: requests of the API, over a loopback port or straight from a [`Registry`] of this process. Out: what a real
//! one answers, except that it knows no rules of compatibility: its only one is `NONE`, and it says so. What it
//! has is gone with the process. `store` is what it knows, as plain data; `server` the socket; here are the faults.

mod server;
mod store;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::server::Server;
use self::store::Store;
use super::Registry;
use super::builder::RegistryBuilder;
use crate::fetch::Answer;

/// A schema registry inside this process: for examples, and for tests that need one to fail.
///
/// It speaks the API of a real one (register with references, look up, ids, versions, the rule of compatibility),
/// except that it checks no compatibility: the only rule is `NONE`.
///
/// ```
/// use citizenk::registry::{EmbeddedRegistry, NewSchema, Registry};
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let embedded = EmbeddedRegistry::start().await?;
///     let registry = Registry::builder(embedded.url()).build()?;
///     let id = registry.register("orders-value", &NewSchema::avro(r#""string""#)).await?;
///     embedded.fail(503);
///     assert!(registry.latest("orders-value").await.is_err());
///     embedded.heal();
///     assert_eq!(registry.latest("orders-value").await?.unwrap().id, id);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct EmbeddedRegistry {
    shared: Arc<Shared>,
    server: Option<Arc<Server>>,
}

/// What requests come to.
pub(in crate::registry) struct Shared {
    state: Mutex<State>,
    fault: watch::Sender<Fault>,
    /// How many requests the fault is left for; `usize::MAX`: until healed.
    faults_left: AtomicUsize,
    requests: AtomicU64,
}

#[derive(Default)]
struct State {
    store: Store,
    /// The header that is wanted.
    authorization: Option<String>,
    /// Paths of requests, in their order.
    asked: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    Status(u16),
    /// No answer at all.
    Silence,
    /// This instead of the answer.
    Body(String),
}

impl fmt::Debug for EmbeddedRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedRegistry({})", self.url())
    }
}

impl Default for EmbeddedRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl EmbeddedRegistry {
    /// One without a port: only [`EmbeddedRegistry::registry`] reaches it. Also good where the clock is paused,
    /// which waits for no socket.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                fault: watch::Sender::default(),
                faults_left: AtomicUsize::new(0),
                requests: AtomicU64::new(0),
            }),
            server: None,
        }
    }

    /// The one that settings mean with `embedded`.
    pub(super) fn of_process() -> &'static Self {
        static ONE: OnceLock<EmbeddedRegistry> = OnceLock::new();
        ONE.get_or_init(Self::new)
    }

    /// One that listens on a free port of the loopback interface, until the last clone is dropped. Call it inside a
    /// tokio runtime.
    ///
    /// # Errors
    /// No port can be opened.
    pub async fn start() -> std::io::Result<Self> {
        let embedded = Self::new();
        let server = Server::start(embedded.shared.clone()).await?;
        Ok(Self {
            server: Some(Arc::new(server)),
            ..embedded
        })
    }

    /// Where it listens; empty where it does not.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.as_ref().map_or("", |server| server.url())
    }

    /// A client of it that needs no port.
    #[must_use]
    pub fn registry(&self) -> Registry {
        RegistryBuilder::new("").in_process(self.shared.clone())
    }

    /// Answers everything with this status until healed.
    pub fn fail(&self, status: u16) {
        self.shared.break_down(Fault::Status(status), usize::MAX);
    }

    /// Answers so many requests with this status.
    pub fn fail_next(&self, requests: usize, status: u16) {
        self.shared.break_down(Fault::Status(status), requests);
    }

    /// Answers nothing until healed; requests that wait are answered then.
    pub fn silence(&self) {
        self.shared.break_down(Fault::Silence, usize::MAX);
    }

    /// Answers everything with status 200 and this text until healed.
    pub fn answer_with(&self, body: impl Into<String>) {
        self.shared.break_down(Fault::Body(body.into()), usize::MAX);
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.shared.break_down(Fault::None, 0);
    }

    /// Answers 401 to requests without this name and password.
    pub fn require_basic_auth(&self, username: &str, password: &str) {
        let pair = openssl::base64::encode_block(format!("{username}:{password}").as_bytes());
        self.shared.state().authorization = Some(format!("Basic {pair}"));
    }

    /// Answers 401 to requests without this token.
    pub fn require_bearer_token(&self, token: &str) {
        self.shared.state().authorization = Some(format!("Bearer {token}"));
    }

    /// Finds every new schema of a subject incompatible, for this reason; `None`: compatible again.
    pub fn find_incompatible(&self, subject: &str, reason: Option<&str>) {
        self.shared.state().store.refuse(subject, reason);
    }

    /// The GUID of the schema with an id, as it stands in headers (`__value_schema_id`, behind a byte 1).
    #[must_use]
    pub fn guid_of(id: u32) -> [u8; 16] {
        store::guid_of(id)
    }

    /// How many requests have come.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many requests had this path, without the query.
    #[must_use]
    pub fn requests_of(&self, path: &str) -> usize {
        let state = self.shared.state();
        state.asked.iter().filter(|asked| *asked == path).count()
    }
}

/// Paths that are remembered, for [`EmbeddedRegistry::requests_of`].
const REMEMBERED: usize = 10_000;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left the store as whole as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn break_down(&self, fault: Fault, requests: usize) {
        self.faults_left.store(requests, Ordering::SeqCst);
        self.fault.send_replace(fault);
    }

    /// What is wrong with this request.
    fn fault(&self) -> Fault {
        let fault = self.fault.borrow().clone();
        if fault == Fault::None {
            return fault;
        }
        let left = self
            .faults_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
                usize::MAX => Some(left),
                left => left.checked_sub(1),
            });
        if left.is_ok() { fault } else { Fault::None }
    }

    pub(in crate::registry) async fn answer(
        &self,
        method: &Method,
        target: &str,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Answer {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        {
            let mut state = self.state();
            if state.asked.len() < REMEMBERED {
                state.asked.push(path.to_owned());
            }
        }
        match self.fault() {
            Fault::None => {}
            Fault::Status(status) => {
                return answer(
                    status,
                    &json!({ "error_code": u32::from(status) * 100 + 1, "message": "told to fail" }),
                );
            }
            Fault::Body(text) => {
                return Answer {
                    status: 200,
                    body: text.into(),
                };
            }
            Fault::Silence => {
                let mut fault = self.fault.subscribe();
                // The sender lives as long as `self`.
                let _ = fault.wait_for(|fault| *fault != Fault::Silence).await;
            }
        }
        let mut state = self.state();
        if let Some(wanted) = &state.authorization
            && authorization != Some(wanted)
        {
            // As some do: what was sent is in the answer.
            let message = format!("not let in: {}", authorization.unwrap_or("nobody"));
            return answer(401, &json!({ "error_code": 40101, "message": message }));
        }
        let (status, value) = state.store.answer(method, path, body);
        answer(status, &value)
    }
}

fn answer(status: u16, value: &Value) -> Answer {
    Answer {
        status,
        body: value.to_string().into(),
    }
}
