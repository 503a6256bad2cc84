//! Tokens for OAUTHBEARER: one for all clients of a cluster.
//!
//! In: a function that gets a token, the program's or the one for client credentials (`credentials`). Out:
//! [`Tokens`], which every client asks when it needs one; what is still good is handed out again. Owned by the
//! transport; the function runs on the runtime of the program, never on a client's thread.

#[cfg(feature = "oauth")]
pub(crate) mod credentials;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::config::Secret;

/// A function that has not answered by then has failed.
const LIMIT: Duration = Duration::from_secs(30);
/// A token is handed out until this part of its life is over; clients ask again at 0.8.
const FRESH: f64 = 0.7;

/// A token by which clients say who they are, for [`App::oauth_token`](crate::App::oauth_token).
///
/// ```
/// use std::time::Duration;
/// use citizenk::OauthToken;
///
/// let token = OauthToken::expires_in("eyJhbGciOi..", Duration::from_secs(3600)).extension("logicalCluster", "lkc-1");
/// // The token itself is never printed.
/// assert!(!format!("{token:?}").contains("eyJ"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct OauthToken {
    value: Secret,
    expires: SystemTime,
    principal: String,
    extensions: BTreeMap<String, String>,
}

impl OauthToken {
    /// A token and when it ends. A new one is asked for when four fifths of its life are over.
    pub fn new(token: impl Into<String>, expires: SystemTime) -> Self {
        Self {
            value: Secret::new(token),
            expires,
            principal: String::new(),
            extensions: BTreeMap::new(),
        }
    }

    /// A token that ends after this time from now.
    pub fn expires_in(token: impl Into<String>, life: Duration) -> Self {
        Self::new(token, SystemTime::now() + life)
    }

    /// Whose token it is; only for the client's log. Default: empty.
    pub fn principal(mut self, name: impl Into<String>) -> Self {
        self.principal = name.into();
        self
    }

    /// Something the broker wants to know beside the token (RFC 7628 §3.1).
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    pub(crate) fn value(&self) -> &str {
        self.value.expose()
    }

    pub(crate) fn owner(&self) -> &str {
        &self.principal
    }

    pub(crate) fn extensions(&self) -> &BTreeMap<String, String> {
        &self.extensions
    }

    /// In milliseconds since 1970.
    pub(crate) fn expires_millis(&self) -> i64 {
        let since = self.expires.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
    }

    /// Until when it is handed out again.
    fn fresh_until(&self, now: SystemTime) -> SystemTime {
        let left = self.expires.duration_since(now).unwrap_or_default();
        now + left.mul_f64(FRESH)
    }
}

impl fmt::Debug for OauthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthToken")
            .field("expires", &self.expires)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// Gets a token, or says why there is none.
pub(crate) type TokenSource =
    Arc<dyn Fn() -> BoxFuture<'static, Result<OauthToken, String>> + Send + Sync>;

/// The tokens of a cluster's clients.
pub(crate) struct Tokens {
    source: TokenSource,
    runtime: Handle,
    last: Mutex<Option<(OauthToken, SystemTime)>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Runs the function on this runtime.
    pub(crate) fn new(source: TokenSource, runtime: Handle) -> Self {
        Self {
            source,
            runtime,
            last: Mutex::default(),
        }
    }

    /// Hands a token to `done`, later and on the runtime. May be called on any thread.
    pub(crate) fn ask(
        self: &Arc<Self>,
        done: impl FnOnce(Result<OauthToken, String>) + Send + 'static,
    ) {
        let tokens = self.clone();
        self.runtime.spawn(async move { done(tokens.get().await) });
    }

    /// The last one while it is fresh, otherwise a new one; whoever asks meanwhile waits for that.
    async fn get(&self) -> Result<OauthToken, String> {
        let mut last = self.last.lock().await;
        let now = SystemTime::now();
        if let Some((token, until)) = &*last
            && now < *until
        {
            return Ok(token.clone());
        }
        // A task of its own: a panic of the program's function is an error like any other.
        let got = self.runtime.spawn((self.source)());
        let stop = got.abort_handle();
        let token = match tokio::time::timeout(LIMIT, got).await {
            Ok(Ok(token)) => token?,
            Ok(Err(_)) => return Err("getting a token panicked".to_owned()),
            Err(_) => {
                stop.abort();
                return Err(format!("no token was had within {} s", LIMIT.as_secs()));
            }
        };
        if token.expires <= now {
            return Err("the token that was had has expired already".to_owned());
        }
        *last = Some((token.clone(), token.fresh_until(now)));
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn tokens(
        make: impl Fn(usize) -> Result<OauthToken, String> + Send + Sync + 'static,
    ) -> Arc<Tokens> {
        let calls = AtomicUsize::new(0);
        let source: TokenSource = Arc::new(move || {
            let made = make(calls.fetch_add(1, Ordering::SeqCst));
            Box::pin(async move { made })
        });
        Arc::new(Tokens::new(source, Handle::current()))
    }

    #[tokio::test]
    async fn a_fresh_token_is_handed_out_again_and_a_failure_is_not_kept() {
        let tokens = tokens(|call| match call {
            0 => Err("not yet".to_owned()),
            call => Ok(OauthToken::expires_in(
                call.to_string(),
                Duration::from_secs(60),
            )),
        });
        assert_eq!(tokens.get().await.unwrap_err(), "not yet");
        for _ in 0..3 {
            assert_eq!(tokens.get().await.unwrap().value(), "1");
        }
        let (sender, received) = tokio::sync::oneshot::channel();
        tokens.ask(move |token| drop(sender.send(token.unwrap())));
        assert_eq!(received.await.unwrap().value(), "1");
    }

    #[tokio::test]
    async fn an_expired_token_and_a_panic_are_errors() {
        let expired = tokens(|_| Ok(OauthToken::new("x", SystemTime::UNIX_EPOCH)));
        assert!(expired.get().await.unwrap_err().contains("expired already"));
        let source: TokenSource = Arc::new(|| Box::pin(async { panic!("oh") }));
        let panics = Tokens::new(source, Handle::current());
        assert_eq!(panics.get().await.unwrap_err(), "getting a token panicked");
    }

    #[test]
    fn a_token_is_replaced_before_a_client_asks_for_the_next() {
        let now = SystemTime::now();
        let token = OauthToken::new("x", now + Duration::from_secs(100));
        let until = token.fresh_until(now).duration_since(now).unwrap();
        assert!(until > Duration::from_secs(69) && until < Duration::from_secs(80));
    }
}
