//! Chunks whose records stay where librdkafka put them.
//!
//! In: messages of one partition from the polling thread. Out: borrowed keys, payloads and headers.
//! A chunk owns its messages and shares the client: it may be dropped on any thread, and outlive the
//! consumer. Its vector goes back to the consumer's pool.

use std::ffi::c_void;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::bindings as rd;

use super::client::{Client, lock};
use super::consumer::Token;
use super::copied::{self, CopiedChunk};
use super::error;
use crate::record::{ChunkStore, Timestamp};

/// Vectors kept for reuse; more than this many chunks are rarely alive at once.
const POOLED: usize = 64;
/// A vector that grew beyond this is not kept.
const POOLED_CAPACITY: usize = 16_384;

/// Messages we own; destroyed when dropped.
#[derive(Default)]
pub(super) struct Messages(Vec<*mut rd::rd_kafka_message_t>);

// SAFETY: a message may be read and destroyed on any thread; it is destroyed once, by its owner.
unsafe impl Send for Messages {}
// SAFETY: shared access only reads plain fields; the one lazy part, headers, is locked by `RdChunk`.
unsafe impl Sync for Messages {}

impl Messages {
    /// Takes over a message.
    ///
    /// # Safety
    /// `message` is a message nobody else destroys.
    pub(super) unsafe fn push(&mut self, message: *mut rd::rd_kafka_message_t) {
        self.0.push(message);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first_offset(&self) -> Option<i64> {
        // SAFETY: the messages are alive and ours.
        self.0.first().map(|message| unsafe { (**message).offset })
    }

    /// Destroys all messages.
    pub(super) fn clear(&mut self) {
        for message in self.0.drain(..) {
            // SAFETY: ours by `push`'s contract, and forgotten here.
            unsafe { rd::rd_kafka_message_destroy(message) }
        }
    }

    /// Moves out the first messages, at most `count`, into a pooled vector.
    pub(super) fn take(&mut self, count: usize, pool: &Pool) -> Messages {
        let mut taken = pool.get();
        if self.len() <= count {
            std::mem::swap(&mut taken, self);
        } else {
            taken.0.extend(self.0.drain(..count));
        }
        taken
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Chunks of all consumers that something still holds.
static HELD: AtomicUsize = AtomicUsize::new(0);

pub(super) fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Empty vectors of a consumer, and how many of its chunks are held.
#[derive(Default)]
pub(super) struct Pool {
    free: Mutex<Vec<Messages>>,
    held: AtomicUsize,
}

impl Pool {
    pub(super) fn get(&self) -> Messages {
        lock(&self.free).pop().unwrap_or_default()
    }

    /// Chunks of this consumer that something still holds.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn put(&self, mut messages: Messages) {
        messages.clear();
        if messages.0.capacity() > POOLED_CAPACITY {
            return;
        }
        let mut free = lock(&self.free);
        if free.len() < POOLED {
            free.push(messages);
        }
    }
}

/// Counts a chunk as long as something holds it.
pub(super) struct Held(Arc<Pool>);

impl Held {
    fn new(pool: Arc<Pool>) -> Self {
        HELD.fetch_add(1, Ordering::Relaxed);
        pool.held.fetch_add(1, Ordering::Relaxed);
        Self(pool)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Records of one partition.
pub(super) struct RdChunk {
    messages: Messages,
    topic: Arc<str>,
    partition: i32,
    /// librdkafka parses a message's headers at the first look, inside the message.
    headers: Mutex<()>,
    held: Held,
    _token: Token,
    /// Keeps the client until the messages are gone; after them in this list, so dropped after.
    _client: Arc<Client>,
}

impl RdChunk {
    pub(super) fn new(
        messages: Messages,
        topic: Arc<str>,
        partition: i32,
        pool: Arc<Pool>,
        token: Token,
        client: Arc<Client>,
    ) -> Self {
        Self {
            messages,
            topic,
            partition,
            headers: Mutex::new(()),
            held: Held::new(pool),
            _token: token,
            _client: client,
        }
    }

    /// The same records, which keep nothing of what they came with.
    pub(super) fn copies(&self) -> impl Iterator<Item = CopiedChunk> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = next;
            (first < self.len()).then(|| {
                next = copied::piece(self, first);
                CopiedChunk::of(self, first..next, Held::new(self.held.0.clone()))
            })
        })
    }

    fn message(&self, index: usize) -> &rd::rd_kafka_message_t {
        // SAFETY: the messages live as long as the chunk, and their plain fields never change.
        unsafe { &*self.messages.0[index] }
    }
}

impl Drop for RdChunk {
    fn drop(&mut self) {
        self.held.0.put(std::mem::take(&mut self.messages));
    }
}

impl fmt::Debug for RdChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{} ({} records)",
            self.topic,
            self.partition,
            self.messages.len()
        )
    }
}

impl ChunkStore for RdChunk {
    fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    fn partition(&self) -> i32 {
        self.partition
    }

    fn len(&self) -> usize {
        self.messages.len()
    }

    fn offset(&self, index: usize) -> i64 {
        self.message(index).offset
    }

    fn timestamp(&self, index: usize) -> Timestamp {
        use rd::rd_kafka_timestamp_type_t as Type;
        let mut kind = Type::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive; reads only.
        let millis = unsafe { rd::rd_kafka_message_timestamp(self.message(index), &raw mut kind) };
        match kind {
            Type::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => Timestamp::None,
            Type::RD_KAFKA_TIMESTAMP_CREATE_TIME => Timestamp::Create(millis),
            Type::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Timestamp::LogAppend(millis),
        }
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        let message = self.message(index);
        // SAFETY: the fields describe bytes that live as long as the message.
        unsafe { bytes(message.key, message.key_len) }
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        let message = self.message(index);
        // SAFETY: the fields describe bytes that live as long as the message.
        unsafe { bytes(message.payload, message.len) }
    }

    fn headers(&self, index: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let message: *const rd::rd_kafka_message_t = self.message(index);
        let mut headers = ptr::null_mut();
        let found = {
            let _parsing = lock(&self.headers);
            // SAFETY: the message is alive; the lock keeps others from parsing it at once. What is
            // answered belongs to the message and does not change once parsed.
            unsafe { rd::rd_kafka_message_headers(message, &raw mut headers) }
        };
        if found != error::OK {
            return;
        }
        for position in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message; the outputs are valid places.
            let got = unsafe {
                rd::rd_kafka_header_get_all(
                    headers,
                    position,
                    &raw mut name,
                    &raw mut value,
                    &raw mut size,
                )
            };
            if got != error::OK {
                return;
            }
            // SAFETY: a terminated name, and `size` bytes of value unless null; both live as long as
            // the message, which outlives this call.
            let (name, value) = unsafe {
                (
                    std::ffi::CStr::from_ptr(name).to_string_lossy(),
                    bytes(value, size),
                )
            };
            visit(&name, value);
        }
    }
}

/// # Safety
/// `data` is null or points to `len` bytes that live and do not change for `'a`.
unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) })
}
