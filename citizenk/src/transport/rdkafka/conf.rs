//! Building a client's configuration: errors name the setting, never a secret's value.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};

use rdkafka::bindings as rd;

use super::error;
use crate::transport::TransportError;

/// librdkafka's error buffers.
const TEXT: usize = 512;

/// A configuration under construction.
pub(super) struct Conf {
    raw: *mut rd::rd_kafka_conf_t,
    /// `consumer` or `producer`, for errors.
    what: &'static str,
}

impl Conf {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            // SAFETY: no preconditions; never answers null (librdkafka aborts without memory).
            raw: unsafe { rd::rd_kafka_conf_new() },
            what,
        }
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_conf_t {
        self.raw
    }

    /// Forgets the object after librdkafka took it.
    pub(super) fn taken(self) {
        std::mem::forget(self);
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), TransportError> {
        let context = || format!("{} setting `{key}`", self.what);
        let (Ok(c_key), Ok(c_value)) = (CString::new(key), CString::new(value)) else {
            return Err(error::invalid(context(), "contains a zero byte"));
        };
        let mut buffer = [0 as c_char; TEXT];
        // SAFETY: the configuration is alive, both texts are terminated, the buffer has the length
        // that is given.
        let result = unsafe {
            rd::rd_kafka_conf_set(
                self.raw,
                c_key.as_ptr(),
                c_value.as_ptr(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
        if result == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            return Ok(());
        }
        // librdkafka repeats the refused value, which may be a password.
        let refused = result == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID;
        let message = if refused && is_secret(key) {
            "the value is not accepted".to_owned()
        } else {
            // SAFETY: librdkafka terminates the text it wrote; else the buffer is all zeros.
            unsafe { error::text(buffer.as_ptr()) }
        };
        Err(error::invalid(context(), message))
    }

    /// What the setting is as of now, its own default included; `None` when it is not set at all.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        let key = CString::new(key).ok()?;
        let mut buffer = [0 as c_char; TEXT];
        let mut size = buffer.len();
        // SAFETY: the configuration is alive, the name terminated, the buffer has the given length.
        let result = unsafe {
            rd::rd_kafka_conf_get(self.raw, key.as_ptr(), buffer.as_mut_ptr(), &raw mut size)
        };
        // SAFETY: librdkafka terminates the text it wrote; else the buffer is all zeros.
        (result == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK)
            .then(|| unsafe { error::text(buffer.as_ptr()) })
    }

    /// Defaults, then the cluster's settings, then the client's own; `owned` ones may not be given.
    pub(super) fn set_all(
        &mut self,
        defaults: &[(&str, &str)],
        cluster: &BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
        owned: &[(&str, &str)],
        also_owned: &[&str],
    ) -> Result<(), TransportError> {
        let given = |key: &str| {
            own.get(key)
                .or_else(|| cluster.get(key))
                .map(String::as_str)
        };
        if super::security::probes(given) {
            self.set("ssl.ca.location", "probe")?;
        }
        for (key, value) in defaults {
            if !cluster.contains_key(*key) && !own.contains_key(*key) {
                self.set(key, value)?;
            }
        }
        let settings = cluster.iter().filter(|(key, _)| !own.contains_key(*key));
        for (key, value) in settings.chain(own) {
            if owned.iter().any(|(name, _)| name == key) || also_owned.contains(&key.as_str()) {
                return Err(error::invalid(
                    format!("{} setting `{key}`", self.what),
                    "is set by citizenk and cannot be changed",
                ));
            }
            self.set(key, value)?;
        }
        for (key, value) in owned {
            self.set(key, value)?;
        }
        Ok(())
    }
}

/// Whether the client library takes this setting at all; nothing is made of it.
pub(crate) fn check(what: &'static str, key: &str, value: &str) -> Result<(), TransportError> {
    let mut conf = Conf::new(what);
    conf.set(key, value)
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: still ours: `taken` forgets what librdkafka owns.
        unsafe { rd::rd_kafka_conf_destroy(self.raw) }
    }
}

/// Whether the value of a setting must not appear in texts.
pub(super) fn is_secret(key: &str) -> bool {
    const PARTS: [&str; 10] = [
        "password",
        "secret",
        "token",
        "pem",
        "private",
        "passphrase",
        "credential",
        "jaas",
        "assertion",
        "oauthbearer.config",
    ];
    PARTS.iter().any(|part| key.contains(part))
}

/// A terminated copy; a zero byte inside (refused where names enter) ends it early.
pub(super) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Whole milliseconds for librdkafka, at least 1 so that 0 ("do not wait") and −1 ("for ever") are
/// never met by rounding.
pub(super) fn millis(timeout: std::time::Duration) -> i32 {
    i32::try_from(timeout.as_millis())
        .unwrap_or(i32::MAX)
        .max(1)
}
