//! Owned handles: a configuration becomes a client, a client has topics.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;
use rdkafka::bindings::rd_kafka_vtype_t as Kind;
use rdkafka::bindings::rd_kafka_vu_s__bindgen_ty_1 as Value;

use super::Result;
use super::consume::Record;

pub(super) const OK: Code = Code::RD_KAFKA_RESP_ERR_NO_ERROR;
const TEXT: usize = 512;

/// A configuration under construction.
pub(super) struct Conf(*mut rd::rd_kafka_conf_t);

impl Conf {
    pub(super) fn new(servers: &str) -> Result<Self> {
        // SAFETY: no preconditions; never null.
        let mut conf = Self(unsafe { rd::rd_kafka_conf_new() });
        conf.set("bootstrap.servers", servers)?;
        Ok(conf)
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let (c_key, c_value) = (CString::new(key)?, CString::new(value)?);
        let mut text = [0 as c_char; TEXT];
        // SAFETY: the configuration lives, the texts end, the buffer has the length that is given.
        let result = unsafe {
            rd::rd_kafka_conf_set(
                self.0,
                c_key.as_ptr(),
                c_value.as_ptr(),
                text.as_mut_ptr(),
                TEXT,
            )
        };
        if result == rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            Ok(())
        } else {
            Err(format!("{key}: {}", read(&text)).into())
        }
    }

    pub(super) fn set_all(&mut self, settings: &[(&str, &str)]) -> Result<()> {
        settings
            .iter()
            .try_for_each(|(key, value)| self.set(key, value))
    }

    /// For callbacks to be installed.
    pub(super) fn raw(&self) -> *mut rd::rd_kafka_conf_t {
        self.0
    }

    pub(super) fn client(self, kind: rd::rd_kafka_type_t) -> Result<Client> {
        let mut text = [0 as c_char; TEXT];
        // SAFETY: the configuration lives; on success it is librdkafka's, which `forget` follows.
        let rk = unsafe { rd::rd_kafka_new(kind, self.0, text.as_mut_ptr(), TEXT) };
        if rk.is_null() {
            return Err(format!("no client: {}", read(&text)).into());
        }
        std::mem::forget(self);
        Ok(Client(rk))
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: ours unless `client` forgot it.
        unsafe { rd::rd_kafka_conf_destroy(self.0) }
    }
}

/// A client; destroyed last, after its topics, queues and messages.
pub(super) struct Client(*mut rd::rd_kafka_t);

impl Client {
    pub(super) fn rk(&self) -> *mut rd::rd_kafka_t {
        self.0
    }

    /// A topic handle whose keys choose the partition as Java clients do.
    pub(super) fn topic(&self, name: &str) -> Result<Topic<'_>> {
        let name = CString::new(name)?;
        let mut text = [0 as c_char; TEXT];
        // SAFETY: the client lives; the copied configuration is ours until `rd_kafka_topic_new` takes it.
        unsafe {
            let conf = rd::rd_kafka_default_topic_conf_dup(self.0);
            let set = rd::rd_kafka_topic_conf_set(
                conf,
                c"partitioner".as_ptr(),
                c"murmur2_random".as_ptr(),
                text.as_mut_ptr(),
                TEXT,
            );
            if set != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                rd::rd_kafka_topic_conf_destroy(conf);
                return Err(format!("partitioner: {}", read(&text)).into());
            }
            let rkt = rd::rd_kafka_topic_new(self.0, name.as_ptr(), conf);
            if rkt.is_null() {
                return Err(format!("no topic: {}", describe(rd::rd_kafka_last_error())).into());
            }
            Ok(Topic { rkt, client: self })
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: made by `Conf::client`, destroyed once.
        unsafe { rd::rd_kafka_destroy(self.0) }
    }
}

/// A topic of a client.
pub(super) struct Topic<'a> {
    rkt: *mut rd::rd_kafka_topic_t,
    client: &'a Client,
}

impl Topic<'_> {
    /// Enqueues a copy of the record; false when the queue is full.
    pub(super) fn produce(&self, partition: i32, key: &[u8], value: &[u8]) -> Result<bool> {
        // SAFETY: the topic lives; the bytes are only read and are copied in the call.
        let refused = unsafe {
            rd::rd_kafka_produce(
                self.rkt,
                partition,
                rd::RD_KAFKA_MSG_F_COPY,
                value.as_ptr().cast_mut().cast::<c_void>(),
                value.len(),
                key.as_ptr().cast(),
                key.len(),
                ptr::null_mut(),
            )
        };
        if refused == 0 {
            return Ok(true);
        }
        // SAFETY: reads this thread's last error.
        match unsafe { rd::rd_kafka_last_error() } {
            Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => Ok(false),
            code => Err(format!("produce: {}", describe(code)).into()),
        }
    }
}

impl Topic<'_> {
    /// Enqueues a copy of a record that was read, to the partition of the same number, with its timestamp and
    /// these headers, which are librdkafka's then; false when the queue is full.
    pub(super) fn forward(
        &self,
        record: &Record<'_>,
        headers: &mut *mut rd::rd_kafka_headers_t,
    ) -> Result<bool> {
        let item = |vtype, u| rd::rd_kafka_vu_t { vtype, u };
        let bytes = |bytes: &[u8]| {
            let (ptr, size) = (bytes.as_ptr().cast_mut().cast(), bytes.len());
            Value {
                mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size },
            }
        };
        let (rkt, i32_, i64_) = (self.rkt, record.partition, record.timestamp());
        let flags = Value {
            i: rd::RD_KAFKA_MSG_F_COPY,
        };
        let items = [
            item(Kind::RD_KAFKA_VTYPE_RKT, Value { rkt }),
            item(Kind::RD_KAFKA_VTYPE_PARTITION, Value { i32_ }),
            item(Kind::RD_KAFKA_VTYPE_MSGFLAGS, flags),
            item(Kind::RD_KAFKA_VTYPE_VALUE, bytes(record.value)),
            item(Kind::RD_KAFKA_VTYPE_KEY, bytes(record.key)),
            item(Kind::RD_KAFKA_VTYPE_TIMESTAMP, Value { i64_ }),
            item(Kind::RD_KAFKA_VTYPE_HEADERS, Value { headers: *headers }),
        ];
        let used = items.len() - usize::from(headers.is_null());
        // SAFETY: client and topic live; the bytes are copied in the call, the headers taken if it succeeds.
        unsafe {
            let failed = rd::rd_kafka_produceva(self.client.rk(), items.as_ptr(), used);
            if failed.is_null() {
                *headers = ptr::null_mut();
                return Ok(true);
            }
            let code = rd::rd_kafka_error_code(failed);
            rd::rd_kafka_error_destroy(failed);
            match code {
                Code::RD_KAFKA_RESP_ERR__QUEUE_FULL => Ok(false),
                code => Err(format!("produce: {}", describe(code)).into()),
            }
        }
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `Client::topic`, destroyed once, before the client.
        unsafe { rd::rd_kafka_topic_destroy(self.rkt) }
    }
}

pub(super) fn check(code: Code, what: &str) -> Result<()> {
    if code == OK {
        Ok(())
    } else {
        Err(format!("{what}: {}", describe(code)).into())
    }
}

pub(super) fn describe(code: Code) -> String {
    // SAFETY: librdkafka's own static text.
    unsafe { CStr::from_ptr(rd::rd_kafka_err2str(code)) }
        .to_string_lossy()
        .into_owned()
}

fn read(text: &[c_char; TEXT]) -> String {
    // SAFETY: librdkafka ends what it writes; else the buffer is all zeros.
    unsafe { CStr::from_ptr(text.as_ptr()) }
        .to_string_lossy()
        .into_owned()
}
