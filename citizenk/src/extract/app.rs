//! What the app is, where it is reached, and what time it is.

use std::sync::Arc;

use super::{Call, Extract, Mode, PrepareContext};
use crate::admin::Admin;
use crate::error::{AgentError, BuildIssue};
use crate::time::Clock;

/// The running app: its name, its version, and where it serves HTTP.
///
/// ```
/// use citizenk::prelude::*;
///
/// #[citizenk::on_event(startup)]
/// async fn hello(app: AppInfo) {
///     println!("{} {}", app.name(), app.version());
///     if let Some(url) = app.base_url() {
///         println!("documentation at {url}/docs");
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppInfo {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    name: String,
    version: String,
    base_url: Option<String>,
}

impl AppInfo {
    /// For tests of handlers.
    #[must_use]
    pub fn new(name: &str, version: &str, base_url: Option<&str>) -> Self {
        Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                version: version.to_owned(),
                base_url: base_url.map(str::to_owned),
            }),
        }
    }

    /// The app's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The version given with `App::version`; default `0.1.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// Where this process serves HTTP, with the port it really has and the prefix, without `/` at the end:
    /// `http://127.0.0.1:8000/api`. `None` without the feature `web`, and under `TestApp`, which needs no
    /// socket.
    #[must_use]
    pub fn base_url(&self) -> Option<&str> {
        self.inner.base_url.as_deref()
    }
}

macro_rules! from_env {
    ($($ty:ty: $field:ident),*) => {$(
        impl<M: Mode> Extract<M> for $ty {
            type Prepared = Self;

            fn prepare(cx: &PrepareContext<'_>) -> Result<Self, BuildIssue> {
                Ok(cx.env.$field.clone())
            }

            fn extract(prepared: &Self, _: &Call<'_, M>) -> Result<Self, AgentError> {
                Ok(prepared.clone())
            }
        }
    )*};
}

from_env!(AppInfo: app, Admin: admin, Clock: clock);
