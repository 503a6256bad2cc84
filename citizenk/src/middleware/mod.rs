//! Code around calls of handlers.
//!
//! In: a handler's started call, and what is known of it ([`CallInfo`]). Out: its verdict, after every
//! middleware has had its say. Composed once when the app is built; each lane, timer and hook has a share in
//! that (`Around`), or none: then its calls know nothing of middleware.
//!
//! A middleware is an ordinary function:
//!
//! ```
//! use citizenk::middleware::{CallInfo, Handled, Next};
//! use citizenk::prelude::*;
//!
//! /// Logs calls that fail, with the time they took.
//! async fn timing(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
//!     let begun = std::time::Instant::now();
//!     let result = next.run().await;
//!     if let Err(error) = &result {
//!         println!("{call}: {error} ({:?}) after {:?}", error.kind(), begun.elapsed());
//!     }
//!     result
//! }
//!
//! /// Refuses what has no tenant; the policy of the agent is told to skip it.
//! async fn tenants(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
//!     if call.topic().is_some() && call.headers().text("tenant").is_none() {
//!         return Err(AgentError::skip("no tenant header"));
//!     }
//!     next.run().await
//! }
//! # #[citizenk::message] struct Order { id: u32 }
//! # const ORDERS: Topic<Order> = Topic::json("orders");
//!
//! #[citizenk::agent(topics = [ORDERS], wrap = tenants)]
//! async fn orders(order: Event<Order>) { println!("{}", order.value.id); }
//!
//! let app = App::new("shop").wrap(timing).register::<orders>();
//! # app.check().unwrap();
//! ```

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

mod info;
#[cfg(feature = "otel")]
mod trace;

pub use self::info::{CallInfo, CallKind};
pub(crate) use self::info::{CallRecords, Component};
use crate::agent::Verdict;
use crate::error::{AgentError, panic_text};

/// What a middleware answers with.
pub type HandledFuture = Pin<Box<dyn Future<Output = Result<Handled, AgentError>> + Send>>;

/// A call with what stands around it.
pub(crate) type Wrapped = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A started call of a handler: its future, the error that kept its arguments from being made, or the
/// panic.
pub(crate) type Started<Fut> = std::thread::Result<Result<Fut, AgentError>>;

/// What a middleware may still do after the agent's `timeout` has cut its handler off.
pub(crate) const LAST_WORD: Duration = Duration::from_millis(100);

/// Functions around calls of handlers: `async fn(CallInfo, Next) -> citizenk::Result<Handled>`.
///
/// Registered with [`App::wrap`](crate::App::wrap), [`Module::wrap`](crate::Module::wrap) or `wrap = ..` of an
/// attribute; a closure works as well: `|call: CallInfo, next: Next| async move { next.run().await }`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "not a middleware",
    note = "write `async fn name(call: CallInfo, next: Next) -> citizenk::Result<Handled>`; all three are in `citizenk::middleware`",
    note = "its future must be `Send`"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Called once per attempt.
    fn call(&self, call: CallInfo, next: Next) -> HandledFuture;
}

#[diagnostic::do_not_recommend]
impl<F, Fut> Middleware for F
where
    F: Fn(CallInfo, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Handled, AgentError>> + Send + 'static,
{
    fn call(&self, call: CallInfo, next: Next) -> HandledFuture {
        Box::pin(self(call, next))
    }
}

/// Proof that the handler ran without an error; only [`Next::run`] makes one.
///
/// So no middleware can pass a failed or refused call off as a handled one: what is not handled is an error,
/// which the policy counts and logs. To give a record up, answer [`AgentError::skip`].
#[derive(Debug)]
pub struct Handled {
    verdict: Verdict,
}

impl Handled {
    /// Of a batch whose handler answered per record: how many of them failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        match &self.verdict {
            Verdict::PerRecord(verdicts) => verdicts.iter().flatten().count(),
            Verdict::Done | Verdict::Failed(_) => 0,
        }
    }
}

/// The rest of a call: the middlewares further inside, then the handler.
pub struct Next {
    /// What stands further inside.
    around: Option<(CallInfo, Chain, usize)>,
    handler: HandledFuture,
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

impl Next {
    /// A rest of a call made by hand, for tests of middlewares.
    ///
    /// ```
    /// use citizenk::middleware::{CallInfo, CallKind, Handled, Next};
    ///
    /// async fn quiet(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    ///     next.run().await
    /// }
    /// # citizenk::testing::block_on(async {
    /// let call = CallInfo::new(CallKind::Agent, "orders");
    /// assert!(quiet(call, Next::new(async { Ok(()) })).await.is_ok());
    /// # });
    /// ```
    pub fn new(handler: impl Future<Output = Result<(), AgentError>> + Send + 'static) -> Self {
        Self {
            around: None,
            handler: Box::pin(handler.map(|result| {
                result.map(|()| Handled {
                    verdict: Verdict::Done,
                })
            })),
        }
    }

    /// Runs it. A span or task-local value put around this future is around the handler.
    ///
    /// # Errors
    /// The handler's, or that of a middleware further inside; a panic and a call cut off by the agent's
    /// `timeout` are errors too ([`AgentError::kind`]).
    pub async fn run(self) -> Result<Handled, AgentError> {
        let Self { around, handler } = self;
        let Some((call, chain, at)) = around else {
            return handler.await;
        };
        let Some(wrap) = chain.0.get(at) else {
            return handler.await;
        };
        let next = Self {
            around: Some((call.clone(), chain.clone(), at + 1)),
            handler,
        };
        wrap.0.call(call, next).await
    }
}

/// A registered middleware.
#[derive(Clone)]
pub(crate) struct Wrap(Arc<dyn Middleware>);

impl Wrap {
    pub(crate) fn new(middleware: impl Middleware) -> Self {
        Self(Arc::new(middleware))
    }
}

impl fmt::Debug for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrap")
    }
}

/// Middlewares from the outermost to the innermost.
#[derive(Clone, Debug)]
struct Chain(Arc<[Wrap]>);

/// What the library itself puts around all calls: with the feature `otel`, a span.
fn builtin() -> Vec<Wrap> {
    #[cfg(feature = "otel")]
    return vec![Wrap::new(trace::traced)];
    #[cfg(not(feature = "otel"))]
    Vec::new()
}

/// What stands around all calls of one component.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    chain: Chain,
    component: Arc<Component>,
}

impl Around {
    /// `None`: nothing stands around its calls.
    pub(crate) fn of(component: Component, wraps: &[&[Wrap]]) -> Option<Self> {
        let wraps: Vec<Wrap> = builtin().into_iter().chain(wraps.concat()).collect();
        (!wraps.is_empty()).then(|| Self {
            chain: Chain(wraps.into()),
            component: Arc::new(component),
        })
    }

    /// The whole call, with the handler innermost.
    pub(crate) fn call<Fut>(
        &self,
        records: CallRecords<'_>,
        attempt: u32,
        started: Started<Fut>,
        limit: Option<Duration>,
    ) -> Wrapped
    where
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let call = CallInfo::of(self.component.clone(), records, attempt);
        let next = Next {
            around: Some((call, self.chain.clone(), 0)),
            handler: Box::pin(handled(started, limit)),
        };
        Box::pin(async move {
            match next.run().await {
                Ok(handled) => handled.verdict,
                Err(error) => Verdict::Failed(error),
            }
        })
    }
}

/// The handler's own part. What would end the middlewares around it is an error instead, which they see.
async fn handled<Fut>(started: Started<Fut>, limit: Option<Duration>) -> Result<Handled, AgentError>
where
    Fut: Future<Output = Verdict> + Send,
{
    let future = started.map_err(|panic| AgentError::panicked(&panic_text(&*panic)))??;
    let contained = AssertUnwindSafe(future).catch_unwind();
    let ended = match limit {
        None => contained.await,
        Some(limit) => tokio::time::timeout(limit, contained)
            .await
            .map_err(|_| AgentError::timed_out(limit))?,
    };
    match ended {
        Ok(Verdict::Failed(error)) => Err(error),
        Ok(verdict) => Ok(Handled { verdict }),
        Err(panic) => Err(AgentError::panicked(&panic_text(&*panic))),
    }
}
