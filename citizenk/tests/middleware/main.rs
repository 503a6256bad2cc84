//! Middleware around calls, on the in-memory log with the test's own clock.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use citizenk::FailureKind;
use citizenk::middleware::{CallInfo, CallKind, Handled, Next};
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};

mod agents;
mod tasks;

const ORDERS: Topic<u32, u32> = Topic::json("orders");
const DONE: Topic<u32, u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// A middleware that says when a call goes in and how it comes out.
    fn wrap(
        &self,
        name: &'static str,
    ) -> impl Fn(CallInfo, Next) -> Wrapped + Send + Sync + use<> + 'static {
        let log = self.clone();
        move |call, next| {
            let log = log.clone();
            Box::pin(async move {
                log.say(format!("{name} > {call} try {}", call.attempt()));
                let result = next.run().await;
                match &result {
                    Ok(_) => log.say(format!("{name} < ok")),
                    Err(error) => log.say(format!("{name} < {:?}: {error}", error.kind())),
                }
                result
            })
        }
    }
}

type Wrapped = std::pin::Pin<Box<dyn Future<Output = citizenk::Result<Handled>> + Send>>;

tokio::task_local! {
    static SCOPE: &'static str;
}

fn scope() -> &'static str {
    SCOPE.try_with(|scope| *scope).unwrap_or("none")
}

async fn scoped(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    SCOPE.scope("own", next.run()).await
}

async fn inner(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    SCOPE.scope("inner", next.run()).await
}

#[test]
fn a_middleware_is_tested_by_calling_it() {
    block_on(async {
        let call = CallInfo::new(CallKind::Timer, "report");
        assert_eq!(call.to_string(), "timer `report`");
        assert!(
            scoped(call.clone(), Next::new(async { Ok(()) }))
                .await
                .is_ok()
        );
        let failing = Next::new(async { Err(AgentError::new("no")) });
        let error = scoped(call, failing).await.unwrap_err();
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (FailureKind::Error, "no")
        );
    });
}
