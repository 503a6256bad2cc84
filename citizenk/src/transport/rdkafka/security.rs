//! What goes wrong when a client proves who it is, in words that say what to do.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::Ordering;

use rdkafka::bindings as rd;
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::client::Hooks;
use super::conf::Conf;
use super::consumer::known;
use super::error;
use crate::transport::TransportError;

/// Whether the system's certificates have to be looked for: an OpenSSL that was linked in looks where it was
/// built to look, which exists on no other machine, so that no public authority would be trusted.
pub(super) fn probes<'a>(given: impl Fn(&str) -> Option<&'a str>) -> bool {
    let tls = given("security.protocol")
        .is_some_and(|protocol| protocol.trim().to_ascii_uppercase().ends_with("SSL"));
    tls && !cfg!(feature = "system-librdkafka")
        && given("ssl.ca.location").is_none()
        && given("ssl.ca.pem").is_none()
}

/// What librdkafka says of every certificate that is refused, whatever the reason.
const REFUSED: &str = "broker certificate could not be verified, verify that ssl.ca.location is correctly configured or root CA \
                       certificates are installed (install ca-certificates package)";
const WRONG_HOST: &str = "the certificate is not for this host name";
/// OpenSSL's codes for a certificate whose chain is good and whose name is not.
const HOSTNAME_MISMATCH: c_int = 62;
const IP_ADDRESS_MISMATCH: c_int = 64;

/// An error that a client raised by itself.
pub(super) fn raised(hooks: &Hooks, context: String, code: Code, text: String) -> TransportError {
    let text = if hooks.wrong_host.load(Ordering::Relaxed) {
        text.replace(REFUSED, WRONG_HOST)
    } else {
        text
    };
    let error = error::with_message(context, code, text);
    hooks.contact.complain(&error);
    error
}

/// Has the client that this configuration makes remember why a certificate was refused.
pub(super) fn install_verify(conf: &Conf) {
    // SAFETY: the configuration is alive; the callback gets the client's `Hooks` as its opaque, which outlives
    // the client.
    unsafe { rd::rd_kafka_conf_set_ssl_cert_verify_cb(conf.raw(), Some(on_verify)) };
}

/// Accepts what OpenSSL accepts, and nothing else.
#[allow(clippy::too_many_arguments)]
unsafe extern "C" fn on_verify(
    _rk: *mut rd::rd_kafka_t,
    _broker: *const c_char,
    _broker_id: i32,
    verdict: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    reason: *mut c_char,
    reason_size: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka gives OpenSSL's verdict, a buffer of that size, and the client's `Hooks`.
    unsafe {
        let verdict = *verdict;
        if verdict == 0 {
            return 1;
        }
        let wrong_host = matches!(verdict, HOSTNAME_MISMATCH | IP_ADDRESS_MISMATCH);
        (*opaque.cast::<Hooks>())
            .wrong_host
            .store(wrong_host, Ordering::Relaxed);
        let text = if wrong_host {
            c"it is not for this host name"
        } else {
            c"no authority that is trusted has signed it, or its time is over"
        };
        let bytes = text.to_bytes_with_nul();
        if bytes.len() <= reason_size {
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), reason, bytes.len());
        }
        0
    }
}

/// What to do about an error, where librdkafka does not say it.
pub(super) fn advice(code: Code, message: &str) -> Option<&'static str> {
    use Code as C;
    let says = |text: &str| message.contains(text);
    match code {
        C::RD_KAFKA_RESP_ERR__TRANSPORT | C::RD_KAFKA_RESP_ERR__SSL
            if says("alert bad certificate") || says("certificate required") =>
        {
            Some(
                "the broker wants a client certificate it trusts: set KAFKA_SSL_CERTIFICATE_LOCATION and \
                 KAFKA_SSL_KEY_LOCATION",
            )
        }
        C::RD_KAFKA_RESP_ERR__AUTHENTICATION | C::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED => {
            if says("OAUTHBEARER token:") {
                None
            } else if says("handshake failed") {
                Some("the listener does not take this mechanism: check KAFKA_SASL_MECHANISM")
            } else if says("invalid_token") || says("OAUTHBEARER") || says("token") {
                Some("the broker refuses the token")
            } else {
                Some("check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
            }
        }
        C::RD_KAFKA_RESP_ERR__SSL => {
            if says(WRONG_HOST) {
                Some(
                    "use the name in it for KAFKA_BOOTSTRAP_SERVERS, and for the \
                     brokers' `advertised.listeners`",
                )
            } else if says("ssl.ca.location") {
                Some("the authority goes to KAFKA_SSL_CA_LOCATION or KAFKA_SSL_CA_PEM")
            } else {
                None
            }
        }
        C::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED => Some(
            "the cluster's ACLs do not allow it: this user needs READ on topics it consumes and WRITE on those it produces to",
        ),
        C::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED => {
            Some("the cluster's ACLs do not allow it: this user needs READ on the group")
        }
        C::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Some(
            "the cluster's ACLs do not allow it: this user needs WRITE on the transactional id, which begins with the group's name",
        ),
        C::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED => {
            Some("the cluster's ACLs do not allow it")
        }
        _ => None,
    }
}

/// Keeps what a client without a polling thread of its own complains of.
pub(super) fn install(conf: &Conf) {
    // SAFETY: the configuration is alive; the callback gets the client's `Hooks` as its opaque, which outlives
    // the client.
    unsafe { rd::rd_kafka_conf_set_error_cb(conf.raw(), Some(on_error)) }
}

unsafe extern "C" fn on_error(
    _rk: *mut rd::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque is the client's `Hooks`; the text is terminated.
    let (hooks, text) = unsafe { (&*opaque.cast::<Hooks>(), error::text(reason)) };
    let error = raised(hooks, format!("client `{}`", hooks.name), known(code), text);
    hooks.log.write(&hooks.name, 4, "ERROR", &error.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_certificates_are_looked_for_unless_others_are_given() {
        let with = |pairs: &'static [(&'static str, &'static str)]| {
            probes(move |key| {
                let (_, value) = pairs.iter().find(|(name, _)| *name == key)?;
                Some(*value)
            })
        };
        assert!(!with(&[]));
        assert!(!with(&[("security.protocol", "SASL_PLAINTEXT")]));
        let system = cfg!(feature = "system-librdkafka");
        assert_eq!(with(&[("security.protocol", "sasl_ssl")]), !system);
        assert!(!with(&[("security.protocol", "SSL"), ("ssl.ca.pem", "x")]));
        assert!(!with(&[
            ("security.protocol", "SSL"),
            ("ssl.ca.location", "x")
        ]));
    }
}
