//! Requests of administration under way.
//!
//! In: a request, and what makes an answer of librdkafka's result. Out: the answer, to the future that
//! waits for it. One thread per transport waits on a queue of their own, so that no consuming thread
//! ever serves one; it ends when nobody can ask any more and every request was answered, which each is
//! after its timeout at the latest.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_admin_op_t as Op;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use tokio::sync::oneshot;

use super::super::client::Client;
use super::super::conf::millis;
use super::super::error;
use crate::admin::AdminReply;
use crate::transport::TransportError;

/// librdkafka's own bound.
const LONGEST: Duration = Duration::from_secs(3600);
/// A wait ends by itself after this time, and goes on.
const WAIT_MS: i32 = 60_000;

/// Makes the answer of a result event, which it must not keep.
type Answer = Box<dyn FnOnce(*mut rd::rd_kafka_event_t) + Send>;

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
    pending: AtomicUsize,
    /// Nobody else serves what the client has to say.
    alone: bool,
    client: Arc<Client>,
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
    /// `alone`: the client is nobody else's.
    pub(super) fn start(client: Arc<Client>, alone: bool) -> Result<Self, TransportError> {
        // SAFETY: the client is alive; the queue is destroyed before it.
        let queue = unsafe { rd::rd_kafka_queue_new(client.rk()) };
        let shared = Arc::new(Shared {
            queue,
            stopped: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            alone,
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
        let options = match self.options(&context, op, wishes, timeout) {
            Ok(options) => options,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let (answer, answered) = oneshot::channel();
        let lost = context.clone();
        let client = self.shared.client.clone();
        let on_result: Answer = Box::new(move |event| {
            // SAFETY: the event lives until this returns; its texts are terminated.
            let result = unsafe {
                match rd::rd_kafka_event_error(event) {
                    error::OK => read(event),
                    code => {
                        let text = error::text(rd::rd_kafka_event_error_string(event));
                        Err(with_reason(
                            &client,
                            error::with_message(context, code, text),
                        ))
                    }
                }
            };
            // Whoever asked may have gone away.
            let _ = answer.send(result);
        });
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        let opaque = Box::into_raw(Box::new(on_result)).cast::<c_void>();
        // SAFETY: the options are alive; the opaque comes back once, with the result (see `serve`).
        unsafe { rd::rd_kafka_AdminOptions_set_opaque(options.0, opaque) };
        start(&Start {
            rk: self.shared.client.rk(),
            options: options.0,
            queue: self.shared.queue,
        });
        drop(options);
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

fn serve(shared: &Shared) {
    loop {
        let idle = shared.pending.load(Ordering::Acquire) == 0;
        if idle && shared.stopped.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: the queue is alive; only this thread polls it.
        let event = unsafe { rd::rd_kafka_queue_poll(shared.queue, WAIT_MS) };
        if shared.alone {
            // SAFETY: the client is alive; polling is allowed on any thread. Serves its log lines.
            unsafe { rd::rd_kafka_poll(shared.client.rk(), 0) };
            drop(shared.client.take_mail());
        }
        if event.is_null() {
            continue;
        }
        // SAFETY: the event is ours. Only requests of `call` use this queue: the opaque is the box that
        // it made, and each request has one result.
        unsafe {
            let opaque = rd::rd_kafka_event_opaque(event).cast::<Answer>();
            if !opaque.is_null() {
                let answer = Box::from_raw(opaque);
                answer(event);
                shared.pending.fetch_sub(1, Ordering::AcqRel);
            }
            rd::rd_kafka_event_destroy(event);
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
