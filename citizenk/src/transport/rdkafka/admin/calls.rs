//! Requests of administration under way.
//!
//! In: a request, and what makes an answer of librdkafka's result. Out: the answer, to the future that
//! waits for it. One thread per client waits on a queue of their own, so that no consuming thread
//! ever serves one; it ends when nobody can ask any more and every request was answered, which each is
//! after its timeout at the latest.

use std::collections::HashMap;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, ptr};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use tokio::sync::oneshot;

use super::super::client::{Client, lock};
use super::super::conf::millis;
use super::super::error;
use crate::admin::AdminReply;
use crate::transport::TransportError;

/// librdkafka's own bound.
const LONGEST: Duration = Duration::from_secs(3600);
/// A wait ends by itself after this time, and goes on.
const WAIT: Duration = Duration::from_secs(60);

/// Makes the answer of a result event, which it must not keep; `None`: there was none in time.
type Answer = Box<dyn FnOnce(Option<*mut rd::rd_kafka_event_t>) + Send>;

/// What asks; the thread ends after the last of these is dropped.
#[derive(Debug)]
pub(super) struct Calls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: *mut rd::rd_kafka_queue_t,
    stopped: AtomicBool,
    retired: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Nobody else's.
    client: Arc<Client>,
}

/// Requests without an answer, by a number of their own.
#[derive(Default)]
struct Waiting {
    last: usize,
    all: HashMap<usize, Request>,
}

struct Request {
    /// When it is given up here; `None`: librdkafka does so.
    until: Option<Instant>,
    answer: Answer,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({})", self.all.len())
    }
}

impl Waiting {
    fn add(&mut self, request: Request) -> usize {
        self.last += 1;
        self.all.insert(self.last, request);
        self.last
    }

    fn due(&mut self, now: Instant) -> Vec<Request> {
        let is_due = |_: &usize, request: &mut Request| request.until.is_some_and(|at| at <= now);
        let due = self.all.extract_if(is_due);
        due.map(|(_, request)| request).collect()
    }
}

// SAFETY: librdkafka's queues may be used from any thread; the rest is atomic or shareable itself.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: our reference, given back once, before the client's (`client` drops after).
        unsafe { rd::rd_kafka_queue_destroy(self.queue) }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // SAFETY: the queue lives in `shared`.
        unsafe { rd::rd_kafka_queue_yield(self.shared.queue) }
    }
}

/// What a request may ask for beyond itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    pub(super) validate_only: bool,
    /// The broker waits until the change is made, not only accepted.
    pub(super) wait_for_effect: bool,
    /// Offsets that an open transaction may still change are an error.
    pub(super) settled: bool,
}

/// Where and how librdkafka starts a request.
pub(super) struct Start {
    pub(super) rk: *mut rd::rd_kafka_t,
    pub(super) options: *const rd::rd_kafka_AdminOptions_t,
    pub(super) queue: *mut rd::rd_kafka_queue_t,
}

struct Options(*mut rd::rd_kafka_AdminOptions_t);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by us, destroyed once.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

impl Calls {
    pub(super) fn start(client: Arc<Client>) -> Result<Self, TransportError> {
        // SAFETY: the client is alive; the queue is destroyed before it.
        let queue = unsafe { rd::rd_kafka_queue_new(client.rk()) };
        let shared = Arc::new(Shared {
            queue,
            stopped: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            waiting: Mutex::default(),
            client,
        });
        let serving = shared.clone();
        std::thread::Builder::new()
            .name("ck-admin".to_owned())
            .spawn(move || serve(&serving))
            .map_err(|error| error::invalid("starting a thread", error.to_string()))?;
        Ok(Self { shared })
    }

    /// What is under way goes on; nobody should begin anything.
    pub(super) fn retire(&self) {
        self.shared.retired.store(true, Ordering::Release);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.shared.retired.load(Ordering::Acquire)
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.shared.client
    }

    /// Starts a request by `start`, which must hand it to librdkafka, once, with what it is given; `read`
    /// makes the answer of its result.
    pub(super) fn call<T: Send + 'static>(
        &self,
        context: String,
        op: Op,
        wishes: Wishes,
        timeout: Duration,
        start: impl FnOnce(&Start),
        read: impl FnOnce(*mut rd::rd_kafka_event_t) -> Result<T, TransportError> + Send + 'static,
    ) -> AdminReply<T> {
        let until = asks_a_coordinator(op).then(|| Instant::now() + timeout);
        let ends_there = if until.is_some() { LONGEST } else { timeout };
        let options = match self.options(&context, op, wishes, ends_there) {
            Ok(options) => options,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let (answer, answered) = oneshot::channel();
        let lost = context.clone();
        let client = self.shared.client.clone();
        let on_result: Answer = Box::new(move |event| {
            let result = match event {
                // SAFETY: the event lives until this returns; its texts are terminated.
                Some(event) => unsafe {
                    match rd::rd_kafka_event_error(event) {
                        error::OK => read(event),
                        code => {
                            let text = error::text(rd::rd_kafka_event_error_string(event));
                            Err(error::with_message(context, code, text))
                        }
                    }
                },
                None => Err(error::error(context, Code::RD_KAFKA_RESP_ERR__TIMED_OUT)),
            };
            // Whoever asked may have gone away.
            let _ = answer.send(result.map_err(|error| with_reason(&client, error)));
        });
        let number = lock(&self.shared.waiting).add(Request {
            until,
            answer: on_result,
        });
        let opaque = ptr::without_provenance_mut::<c_void>(number);
        // SAFETY: the options are alive; the opaque is a number, never looked through.
        unsafe { rd::rd_kafka_AdminOptions_set_opaque(options.0, opaque) };
        start(&Start {
            rk: self.shared.client.rk(),
            options: options.0,
            queue: self.shared.queue,
        });
        drop(options);
        if until.is_some() {
            // Whoever waits may have to wait less.
            // SAFETY: the queue lives in `shared`.
            unsafe { rd::rd_kafka_queue_yield(self.shared.queue) }
        }
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| {
                let code = Code::RD_KAFKA_RESP_ERR__DESTROY;
                Err(error::error(lost, code))
            })
        })
    }

    fn options(
        &self,
        context: &str,
        op: Op,
        wishes: Wishes,
        timeout: Duration,
    ) -> Result<Options, TransportError> {
        // SAFETY: the client is alive.
        let raw = unsafe { rd::rd_kafka_AdminOptions_new(self.shared.client.rk(), op) };
        if raw.is_null() {
            return Err(error::invalid(
                context,
                "the client does not know this operation",
            ));
        }
        let options = Options(raw);
        let timeout = millis(timeout.min(LONGEST));
        let mut buffer = [0 as c_char; 256];
        let (text, size) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the options are alive and made for `op`; the buffer has the given length.
        let codes = unsafe {
            [
                rd::rd_kafka_AdminOptions_set_request_timeout(raw, timeout, text, size),
                if wishes.wait_for_effect {
                    rd::rd_kafka_AdminOptions_set_operation_timeout(raw, timeout, text, size)
                } else {
                    error::OK
                },
                if wishes.validate_only {
                    rd::rd_kafka_AdminOptions_set_validate_only(raw, 1, text, size)
                } else {
                    error::OK
                },
            ]
        };
        for code in codes {
            error::check(code, || context.to_owned())?;
        }
        if wishes.settled {
            // SAFETY: the options are alive and made for `op`; an error object is ours to destroy.
            unsafe {
                let error = rd::rd_kafka_AdminOptions_set_require_stable_offsets(raw, 1);
                error::take(error, || context.to_owned()).map_err(|(_, error)| error)?;
            }
        }
        Ok(options)
    }
}

/// That nobody answered is told with the reason, e.g. a wrong password.
fn with_reason(client: &Client, mut error: TransportError) -> TransportError {
    if error.retriable {
        // SAFETY: the client is alive; polling is allowed on any thread. The reason waits to be heard.
        unsafe { rd::rd_kafka_poll(client.rk(), 0) };
        if let Some(trouble) = client.hooks().contact.trouble() {
            error.message = format!("{}: {trouble}", error.message);
        }
    }
    error
}

/// Whether the request goes to the coordinator of a group.
///
/// When the time of such a request is over, librdkafka frees it, but still sends it when its coordinator comes back,
/// which ends the program (2.12.1, issue 4605). So its time is never over there: it is given up here, and goes with
/// its client.
fn asks_a_coordinator(op: Op) -> bool {
    matches!(
        op,
        Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS
            | Op::RD_KAFKA_ADMIN_OP_DELETEGROUPS
            | Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS
            | Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS
    )
}

impl Shared {
    /// How long until the first request has to be given up; `None`: there is nothing to wait for any more.
    fn wait(&self) -> Option<Duration> {
        let waiting = lock(&self.waiting);
        if waiting.all.is_empty() && self.stopped.load(Ordering::Acquire) {
            return None;
        }
        let first = waiting.all.values().filter_map(|request| request.until);
        let left = first
            .min()
            .map(|at| at.saturating_duration_since(Instant::now()));
        Some(left.map_or(WAIT, |left| left.min(WAIT)))
    }
}

fn serve(shared: &Shared) {
    while let Some(wait) = shared.wait() {
        // SAFETY: the queue is alive; only this thread polls it. A millisecond more, so that what is due is due.
        let event =
            unsafe { rd::rd_kafka_queue_poll(shared.queue, millis(wait).saturating_add(1)) };
        // SAFETY: the client is alive; polling is allowed on any thread. Serves its log lines.
        unsafe { rd::rd_kafka_poll(shared.client.rk(), 0) };
        drop(shared.client.take_mail());
        if !event.is_null() {
            // SAFETY: the event is ours, alive until it is destroyed, once; only requests of `call` use this queue.
            unsafe {
                let number = rd::rd_kafka_event_opaque(event).addr();
                // What was given up is nobody's.
                let request = lock(&shared.waiting).all.remove(&number);
                if let Some(request) = request {
                    (request.answer)(Some(event));
                }
                rd::rd_kafka_event_destroy(event);
            }
        }
        let due = lock(&shared.waiting).due(Instant::now());
        for request in due {
            shared.retired.store(true, Ordering::Release);
            (request.answer)(None);
        }
    }
}

/// An array of results that librdkafka owns, as a function that answers its address and length gives it.
///
/// # Safety
/// `ask` answers null or an array of as many valid pointers as it counts, which lives for `'a`.
pub(super) unsafe fn array<'a, T>(ask: impl FnOnce(*mut usize) -> *mut *const T) -> &'a [*const T] {
    let mut count = 0;
    let first = ask(ptr::from_mut(&mut count));
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count) }
}
