//! Where a cluster's tokens come from: the operator's settings, or the program.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::App;
use crate::config::{Security, Settings};
use crate::error::{AgentError, ConfigError};
use crate::transport::oauth::{OauthToken, Tokens};

pub(crate) type TokenFn =
    Arc<dyn Fn(TokenContext) -> BoxFuture<'static, Result<OauthToken, String>> + Send + Sync>;

/// What a function for [`App::oauth_token`] may look at.
#[derive(Clone, Debug)]
pub struct TokenContext {
    cluster: &'static str,
    settings: Arc<Settings>,
}

impl TokenContext {
    /// The cluster whose clients need the token; `default` is the one without a name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        self.cluster
    }

    /// The program's own settings: the `[app]` table of the settings file, and `APP_*` variables.
    ///
    /// # Errors
    /// When a field is missing or of the wrong type; the error names it.
    pub fn settings<S: serde::de::DeserializeOwned>(&self) -> Result<S, ConfigError> {
        self.settings.app()
    }
}

impl App {
    /// Gets the tokens by which clients say who they are, where the settings say `sasl.mechanism =
    /// OAUTHBEARER`. One token serves all clients of a cluster; the function is called again when four fifths
    /// of its life are over, and 10 s after it failed. Client credentials in the settings
    /// (`KAFKA_SASL_OAUTHBEARER_CLIENT_ID` ..) come first.
    ///
    /// The error's text is logged and shown by `/health/ready`: it must not have a secret in it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use citizenk::prelude::*;
    /// use citizenk::OauthToken;
    ///
    /// let app = App::new("billing").oauth_token(async |_cx| {
    ///     let token = std::fs::read_to_string("/var/run/secrets/kafka/token")?;
    ///     Ok::<_, std::io::Error>(OauthToken::expires_in(token.trim(), Duration::from_secs(600)))
    /// });
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn oauth_token<E, F, Fut>(mut self, get: F) -> Self
    where
        E: Into<AgentError>,
        F: Fn(TokenContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<OauthToken, E>> + Send + 'static,
    {
        self.token = Some(Arc::new(move |cx| {
            let token = get(cx);
            Box::pin(async move {
                token.await.map_err(|error| {
                    let error: AgentError = error.into();
                    error.to_string()
                })
            })
        }));
        self
    }

    /// Whether tokens that the cluster wants can be had.
    pub(crate) fn check_tokens(&self, security: &Security) -> Result<(), ConfigError> {
        security.check_tokens(self.token.is_some())
    }

    /// Who gets the tokens of a cluster with this security; to be called inside a runtime.
    pub(crate) fn tokens(
        &self,
        cluster: &'static str,
        security: &Security,
        settings: &Settings,
    ) -> Option<Arc<Tokens>> {
        if !security.needs_tokens() {
            return None;
        }
        #[cfg(feature = "oauth")]
        if let Some(credentials) = security.credentials() {
            let source = crate::transport::oauth::credentials::source(credentials);
            return Some(Arc::new(Tokens::new(source, Handle::current())));
        }
        let get = self.token.clone()?;
        let settings = Arc::new(settings.clone());
        let source = Arc::new(move || {
            get(TokenContext {
                cluster,
                settings: settings.clone(),
            })
        });
        Some(Arc::new(Tokens::new(source, Handle::current())))
    }
}
