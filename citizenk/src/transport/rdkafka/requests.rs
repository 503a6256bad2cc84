//! What librdkafka's interceptors tell of a client's requests.
//!
//! In: every request that left and every answer. Out: when a broker last answered ([`Contact`]), and for
//! transactional producers ([`Requests`]) which requests that change a transaction have no answer: one
//! that is late could change the next transaction.
//!
//! [`Contact`]: super::client::Contact

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicI16, AtomicU64, Ordering};

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::client::Hooks;
use super::conf::Conf;
use super::error;

/// API keys of the protocol.
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;
const INIT_PRODUCER_ID: i16 = 22;
const ADD_PARTITIONS_TO_TXN: i16 = 24;
const ADD_OFFSETS_TO_TXN: i16 = 25;
const END_TXN: i16 = 26;
const TXN_OFFSET_COMMIT: i16 = 28;

/// A transactional producer's requests, counted since its start.
#[derive(Debug)]
pub(super) struct Requests {
    /// Of the last `InitProducerId`; -1: none has left.
    init_version: AtomicI16,
    /// Requests to end a transaction that left.
    ends: AtomicU64,
    /// Requests that change a transaction and got no answer. Not exact: librdkafka tells of one twice
    /// when another thread takes it up.
    unanswered: AtomicU64,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            init_version: AtomicI16::new(-1),
            ends: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }
}

/// The counts at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    ends: u64,
    unanswered: u64,
}

impl Counts {
    /// Whether a request to end a transaction has left since.
    pub(super) fn ended_since(self, before: Self) -> bool {
        self.ends > before.ends
    }

    /// Whether a request that left since may still change something.
    pub(super) fn doubtful_since(self, before: Self) -> bool {
        self.ends - before.ends > 1 || self.unanswered > before.unanswered
    }
}

impl Requests {
    pub(super) fn counts(&self) -> Counts {
        Counts {
            ends: self.ends.load(Ordering::Acquire),
            unanswered: self.unanswered.load(Ordering::Acquire),
        }
    }

    pub(super) fn init_version(&self) -> Option<i16> {
        Some(self.init_version.load(Ordering::Acquire)).filter(|version| *version >= 0)
    }

    fn left(&self, key: i16, version: i16) {
        match key {
            INIT_PRODUCER_ID => self.init_version.store(version, Ordering::Release),
            END_TXN => {
                self.ends.fetch_add(1, Ordering::AcqRel);
            }
            _ => {}
        }
    }

    fn unanswered(&self, key: i16) {
        if matches!(
            key,
            ADD_PARTITIONS_TO_TXN | ADD_OFFSETS_TO_TXN | END_TXN | TXN_OFFSET_COMMIT
        ) {
            self.unanswered.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Has the client that this configuration makes tell its hooks about its requests.
///
/// # Safety
/// `hooks` lives until that client is destroyed, or until it turns out that there is none.
pub(super) unsafe fn watch(conf: &Conf, hooks: *const Hooks) {
    // SAFETY: the configuration is alive, the name a terminated text, the hooks alive as promised.
    unsafe {
        rd::rd_kafka_conf_interceptor_add_on_new(
            conf.raw(),
            c"citizenk".as_ptr(),
            Some(on_new),
            hooks.cast_mut().cast(),
        );
    }
}

unsafe extern "C" fn on_new(
    rk: *mut rd::rd_kafka_t,
    _conf: *const rd::rd_kafka_conf_t,
    hooks: *mut c_void,
    _text: *mut c_char,
    _size: usize,
) -> Code {
    let name = c"citizenk".as_ptr();
    // SAFETY: the client under construction; the hooks outlive it.
    unsafe {
        if (*hooks.cast::<Hooks>()).requests.is_some() {
            let code = rd::rd_kafka_interceptor_add_on_request_sent(rk, name, Some(on_sent), hooks);
            if code != error::OK {
                return code;
            }
        }
        rd::rd_kafka_interceptor_add_on_response_received(rk, name, Some(on_response), hooks)
    }
}

#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn on_sent(
    _rk: *mut rd::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    api_key: i16,
    api_version: i16,
    _correlation: i32,
    _size: usize,
    hooks: *mut c_void,
) -> Code {
    // SAFETY: the hooks that `Client::new` gave; they outlive the client.
    if let Some(requests) = unsafe { &(*hooks.cast::<Hooks>()).requests } {
        requests.left(api_key, api_version);
    }
    error::OK
}

/// Also called for a request that got no answer, with the reason.
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn on_response(
    _rk: *mut rd::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    api_key: i16,
    _api_version: i16,
    _correlation: i32,
    _size: usize,
    _rtt: i64,
    err: Code,
    hooks: *mut c_void,
) -> Code {
    // SAFETY: the hooks that `Client::new` gave; they outlive the client.
    let hooks = unsafe { &*hooks.cast::<Hooks>() };
    if err == error::OK {
        // What comes before a client is let in is no contact: a wrong password is answered too.
        if !matches!(api_key, API_VERSIONS | SASL_HANDSHAKE | SASL_AUTHENTICATE) {
            hooks.contact.touch();
        }
    } else if let Some(requests) = &hooks.requests {
        requests.unanswered(api_key);
    }
    error::OK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_end_and_a_missing_answer_are_doubtful() {
        let requests = Requests::default();
        assert_eq!(requests.init_version(), None);
        requests.left(INIT_PRODUCER_ID, 4);
        assert_eq!(requests.init_version(), Some(4));
        let before = requests.counts();
        assert!(!before.ended_since(before) && !before.doubtful_since(before));
        requests.left(END_TXN, 1);
        let once = requests.counts();
        assert!(once.ended_since(before) && !once.doubtful_since(before));
        requests.left(END_TXN, 1);
        let twice = requests.counts();
        assert!(twice.doubtful_since(before) && !twice.doubtful_since(once));
        requests.unanswered(INIT_PRODUCER_ID);
        assert_eq!(requests.counts(), twice);
        requests.unanswered(TXN_OFFSET_COMMIT);
        let open = requests.counts();
        assert!(open.doubtful_since(twice) && !open.ended_since(twice));
    }
}
