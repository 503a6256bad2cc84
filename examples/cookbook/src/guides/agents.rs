//! `docs/agents.md`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use citizenk::prelude::*;

/// An order.
#[citizenk::message]
#[derive(Clone)]
pub struct Order {
    /// Cents.
    pub amount: u64,
}

/// A refund.
#[citizenk::message]
pub struct Refund {
    /// Cents.
    pub amount: u64,
}

/// Orders by customer.
pub const ORDERS: Topic<Order, u32> = Topic::json("orders");
/// Refunds by customer.
pub const REFUNDS: Topic<Refund, u32> = Topic::json("refunds");
/// Orders above the limit.
pub const LARGE: Topic<Order, u32> = Topic::json("orders.large");
/// What customers owe.
pub const BALANCES: Topic<i64, u32> = Topic::json("balances");

// [returned]
/// Passes on large orders, under the key of the input.
#[citizenk::agent(topics = [ORDERS], output = LARGE)]
pub async fn large(order: Event<Order>) -> Option<Order> {
    (order.value.amount > 100_000).then_some(order.value)
}
// [/returned]

// [outbox]
/// Sends wherever `sends` says; all of it leaves when the function succeeds, or none.
#[citizenk::agent(topics = [ORDERS], sends = [LARGE, BALANCES])]
pub async fn split(
    order: Event<Order>,
    Key(customer): Key<u32>,
    out: Outbox,
) -> citizenk::Result<()> {
    let amount = i64::try_from(order.value.amount)?;
    out.send(&BALANCES, &customer, -amount)?;
    if amount > 100_000 {
        out.record(&LARGE)
            .key(&customer)
            .header("reason", "amount")
            .send(order.value)?;
    }
    Ok(())
}
// [/outbox]

// [change]
/// What an order or a refund does to a balance.
#[derive(Debug)]
pub struct Change(i64);

impl citizenk::Message for Change {}

impl From<Order> for Change {
    fn from(order: Order) -> Self {
        Self(-order.amount.cast_signed())
    }
}

impl From<Refund> for Change {
    fn from(refund: Refund) -> Self {
        Self(refund.amount.cast_signed())
    }
}

/// Topics of different types feed one agent through a common type.
#[citizenk::agent(topics = [ORDERS.as_input::<Change>(), REFUNDS.as_input::<Change>()])]
pub async fn balance(
    change: Event<Change>,
    Key(customer): Key<u32>,
    State(balances): State<Balances>,
) {
    balances.add(customer, change.value.0);
}
// [/change]

// [state]
/// Clones share the map: the state of a service is one value that many calls hold.
#[derive(Clone, Debug, Default)]
pub struct Balances(Arc<Mutex<HashMap<u32, i64>>>);

impl Balances {
    fn add(&self, customer: u32, change: i64) {
        let mut balances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *balances.entry(customer).or_default() += change;
    }

    /// What the customer is owed.
    pub fn of(&self, customer: u32) -> i64 {
        let balances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        balances.get(&customer).copied().unwrap_or_default()
    }
}

/// The service.
pub fn app() -> App {
    App::new("balances")
        .state(Balances::default())
        .register::<balance>()
}
// [/state]

// [concurrency]
/// Up to 16 customers of a partition at once, each customer's orders one after the other.
#[citizenk::agent(topics = [ORDERS], concurrency = 16, timeout = "20s")]
pub async fn notify(order: Event<Order>, info: AgentInfo) -> citizenk::Result<()> {
    call_a_slow_service(order.value.amount, info.attempt()).await
}
// [/concurrency]

async fn call_a_slow_service(_: u64, _: u32) -> citizenk::Result<()> {
    Ok(())
}

// [blocking]
/// Runs on a pool of blocking threads, because it computes for long.
#[citizenk::agent(topics = [ORDERS], blocking = true)]
pub async fn score(order: Event<Order>) {
    std::hint::black_box((0..order.value.amount).fold(0, u64::wrapping_add));
}
// [/blocking]

// [timers]
/// On every worker, the first time after ten seconds; an error is logged and counted.
#[citizenk::repeat_every("10s", wait_first = true)]
pub async fn show(State(balances): State<Balances>) -> citizenk::Result<()> {
    println!("customer 1 is owed {}", balances.of(1));
    Ok(())
}

/// On one worker of the group, every weekday at half past seven in Rome; an error stops the service.
#[citizenk::repeat_at("30 7 * * MON-FRI", tz = "Europe/Rome", on = one, on_error = stop)]
pub async fn remind(producer: Producer) -> citizenk::Result<()> {
    producer.send(&BALANCES, &0, 0).await?;
    Ok(())
}
// [/timers]

// [hooks]
/// Before consumers start; an error ends the program with code 1.
#[citizenk::on_event(startup)]
pub async fn warm_up(
    background: Background,
    State(balances): State<Balances>,
) -> citizenk::Result<()> {
    background.spawn("watch", watch(balances, background.shutdown()));
    Ok(())
}

async fn watch(balances: Balances, shutdown: citizenk::Shutdown) -> citizenk::Result<()> {
    shutdown.wait().await;
    println!("at the end customer 1 is owed {}", balances.of(1));
    Ok(())
}

/// Before the records of new partitions are handled.
#[citizenk::on_event(assigned)]
pub async fn gained(partitions: Partitions) {
    for partition in partitions.iter() {
        println!("{}: {partition}", partitions.group());
    }
}
// [/hooks]

// [module]
/// Components of one subject, with a common path prefix and policy.
#[citizenk::module(prefix = "/reports", on_error = retry(3, then = skip))]
pub mod reports {
    use citizenk::prelude::*;

    use super::{ORDERS, Order};

    /// Has the module's `on_error`.
    #[citizenk::agent(topics = [ORDERS], group = "reports")]
    pub async fn collect(order: Event<Order>) {
        println!("{}", order.value.amount);
    }
}

/// The service with the module.
pub fn app_with_reports() -> App {
    app().include(reports::module())
}
// [/module]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [call]
    #[tokio::test]
    async fn a_handler_is_a_function() -> citizenk::Result<()> {
        let out = Outbox::detached();
        split(Event::new(Order { amount: 200_000 }), Key(7), out.clone()).await?;
        assert_eq!(out.staged(&BALANCES)?, [(Some(7), Some(-200_000))]);
        assert_eq!(out.staged(&LARGE)?.len(), 1);
        Ok(())
    }
    // [/call]

    #[tokio::test]
    async fn orders_and_refunds_meet() -> citizenk::Result<()> {
        let balances = Balances::default();
        let app = TestApp::new(app)
            .override_state(balances.clone())
            .start()
            .await?;
        app.topic(&ORDERS).push(&1, Order { amount: 5 });
        app.topic(&REFUNDS).push(&1, Refund { amount: 3 });
        app.settle().await;
        assert_eq!(balances.of(1), -2);
        Ok(())
    }

    #[test]
    fn everything_shown_can_be_registered() {
        let app = app_with_reports()
            .register::<large>()
            .register::<split>()
            .register::<notify>()
            .register::<score>()
            .register::<show>()
            .register::<remind>()
            .register::<warm_up>()
            .register::<gained>();
        app.check().unwrap();
    }
}
