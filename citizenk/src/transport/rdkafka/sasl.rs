//! Tokens for a client: librdkafka asks on its background thread, the answer comes when it comes.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

use rdkafka::bindings as rd;

use super::client::{Client, Hooks};
use super::conf::{Conf, c_text};
use super::error;
use crate::transport::oauth::OauthToken;

/// Has the client that this configuration makes ask for tokens.
pub(super) fn install(conf: &Conf) {
    // SAFETY: the configuration is alive; the callback gets the client's `Hooks` as its opaque, which outlives
    // the client. Requests wait in a queue of their own until `begin`.
    unsafe {
        rd::rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf.raw(), Some(on_refresh));
        rd::rd_kafka_conf_enable_sasl_queue(conf.raw(), 1);
    }
}

/// From now on the client's requests for tokens are served.
pub(super) fn begin(client: &Arc<Client>) {
    // Set once: each client begins once.
    let _ = client.hooks().client.set(Arc::downgrade(client));
    // SAFETY: the client is alive; the answer is null or an error that `take` destroys.
    let begun = unsafe {
        let raw = rd::rd_kafka_sasl_background_callbacks_enable(client.rk());
        error::take(raw, || "waiting for requests for tokens".to_owned())
    };
    if let Err((_, error)) = begun {
        // Only where this client's own settings choose another mechanism.
        tracing::debug!(%error, client = client.hooks().name, "needs no tokens");
    }
}

unsafe extern "C" fn on_refresh(
    _rk: *mut rd::rd_kafka_t,
    _config: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the opaque is the client's `Hooks`, which outlives the client.
    let hooks = unsafe { &*opaque.cast::<Hooks>() };
    let (Some(tokens), Some(client)) = (&hooks.contact.tokens, hooks.client.get().cloned()) else {
        return;
    };
    tokens.ask(move |got| {
        // A client that is gone needs none.
        if let Some(client) = client.upgrade() {
            answer(&client, got);
        }
    });
}

fn answer(client: &Client, got: Result<OauthToken, String>) {
    let result = got.and_then(|token| set(client, &token));
    if let Err(reason) = result {
        // librdkafka raises it as an error of the client, and asks again after 10 s.
        let text = c_text(&reason);
        // SAFETY: the client is alive, the text terminated and copied.
        unsafe { rd::rd_kafka_oauthbearer_set_token_failure(client.rk(), text.as_ptr()) };
    }
}

fn set(client: &Client, token: &OauthToken) -> Result<(), String> {
    let Ok(value) = CString::new(token.value()) else {
        return Err("the token has a zero byte in it".to_owned());
    };
    let owner = c_text(token.owner());
    let extensions = flat(token.extensions());
    let mut pointers: Vec<*const c_char> = extensions.iter().map(|text| text.as_ptr()).collect();
    let mut buffer = [0 as c_char; 512];
    // SAFETY: the client is alive; all texts are terminated and copied; list and buffer have the lengths that
    // are given.
    let code = unsafe {
        rd::rd_kafka_oauthbearer_set_token(
            client.rk(),
            value.as_ptr(),
            token.expires_millis(),
            owner.as_ptr(),
            pointers.as_mut_ptr(),
            pointers.len(),
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    if code == error::OK {
        return Ok(());
    }
    // SAFETY: librdkafka terminated the text.
    let text = unsafe { error::text(buffer.as_ptr()) };
    // It may quote what it refuses.
    Err(text.replace(token.value(), "***"))
}

/// Name, value, name, value.
fn flat(extensions: &BTreeMap<String, String>) -> Vec<CString> {
    extensions
        .iter()
        .flat_map(|(name, value)| [c_text(name), c_text(value)])
        .collect()
}
