//! `docs/middleware.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use citizenk::middleware::{CallInfo, Handled, Next};
use citizenk::prelude::*;
use tracing::Instrument as _;

/// An order.
#[citizenk::message]
pub struct Order {
    /// Cents.
    pub amount: u64,
}

/// Orders by customer.
pub const ORDERS: Topic<Order, u32> = Topic::json("orders");

// [timing]
/// Reports calls that take long, whatever comes of them.
pub async fn timing(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    let begun = Instant::now();
    let result = next.run().await;
    let took = begun.elapsed();
    if took > Duration::from_secs(1) {
        match &result {
            Ok(_) => println!("{call} took {took:?}"),
            Err(error) => println!("{call} took {took:?}, then {:?}: {error}", error.kind()),
        }
    }
    result
}
// [/timing]

// [around]
tokio::task_local! {
    /// Who the running call is for.
    pub static TENANT: String;
}

/// Gives the handler its tenant, and skips records that have none.
pub async fn tenant(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    let headers = call.headers();
    let Some(tenant) = headers.text("tenant") else {
        return Err(AgentError::skip("no tenant header"));
    };
    let span = tracing::info_span!("order", tenant, offset = call.offset());
    TENANT
        .scope(tenant.to_owned(), next.run().instrument(span))
        .await
}

/// Bad input stays bad: no retries for it.
pub async fn hopeless(_call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    next.run().await.map_err(|error| {
        if error.source().is::<std::num::ParseIntError>() {
            return AgentError::dead_letter(error.to_string());
        }
        error
    })
}
// [/around]

// [use]
/// `tenant` is around `hopeless`, the app's are around both.
#[citizenk::agent(topics = [ORDERS], wrap = [tenant, hopeless])]
pub async fn book(order: Event<Order>, State(booked): State<Booked>) {
    booked.add(&TENANT.get(), order.value.amount);
}

/// What tenants have ordered.
#[derive(Clone, Default)]
pub struct Booked(Arc<Mutex<std::collections::BTreeMap<String, u64>>>);

/// The service.
pub fn app() -> App {
    let calls = Arc::new(AtomicU64::new(0));
    App::new("booking")
        .state(Booked::default())
        .wrap(timing)
        .wrap(move |_call: CallInfo, next: Next| {
            calls.fetch_add(1, Ordering::Relaxed);
            next.run()
        })
        .register::<book>()
}
// [/use]

impl Booked {
    fn add(&self, tenant: &str, amount: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(tenant.to_owned()).or_default() += amount;
    }

    /// What a tenant has ordered.
    pub fn of(&self, tenant: &str) -> u64 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(tenant).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use citizenk::testing::{TestApp, block_on};

    use super::*;

    #[test]
    fn records_without_a_tenant_are_skipped() {
        let booked = Booked::default();
        block_on(async {
            let app = TestApp::new(app())
                .override_state(booked.clone())
                .start()
                .await?;
            app.topic(&ORDERS).push(&1, Order { amount: 5 });
            let mut headers = Headers::new();
            headers.push("tenant", Some("acme"));
            app.topic(&ORDERS)
                .push_to(0, Some(b"1"), br#"{"amount":7}"#, headers);
            app.settle().await;
            assert_eq!(booked.of("acme"), 7);
            assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 2);
            app.stop().await
        })
        .unwrap();
    }
}
