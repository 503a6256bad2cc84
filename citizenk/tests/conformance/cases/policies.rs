//! What happens to records that fail.

use citizenk::{Exit, RunError};

use super::*;

fn judge(order: &Order) -> Result<(), std::fmt::Error> {
    if order.id == 13 {
        return Err(std::fmt::Error);
    }
    Ok(())
}

#[citizenk::agent(topics = [ORDERS], output = DONE,
                  on_error = retry(2, backoff = "20ms..40ms", then = dead_letter(LETTERS)),
                  on_decode_error = dead_letter(LETTERS))]
async fn lettered(
    order: Event<Order>,
    info: AgentInfo,
    State(seen): State<Seen>,
) -> citizenk::Result<Order> {
    seen.say(format!("{} try {}", order.value.id, info.attempt()));
    judge(&order.value)?;
    Ok(order.value)
}

pub(crate) async fn tries_end_in_a_dead_letter(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<lettered>())
        .await;
    world.push_orders([1]);
    let written = 1_700_000_000_123;
    world.push("orders", [Push::order(13).header("trace", "t").at(written)]);
    world.push_orders([2]);
    world.until_at(3).await;
    let calls = ["1 try 1", "13 try 1", "13 try 2", "13 try 3", "2 try 1"];
    assert_eq!(seen.all(), calls);
    let letters = world.read("letters", 1).await;
    let letter = &letters[0];
    assert_eq!((letters.len(), letter.key()), (1, "13"));
    assert_eq!(letter.text(), r#"{"id":13}"#);
    assert_eq!(letter.headers["trace"], "t", "it keeps its own headers");
    assert_eq!(
        (letter.fact("stage"), letter.fact("attempts")),
        ("handler", "3")
    );
    assert_eq!(
        (letter.fact("partition"), letter.fact("offset")),
        ("0", "1")
    );
    assert_eq!(letter.fact("timestamp"), written.to_string());
    assert_ne!(letter.timestamp, Some(written), "its own is when it failed");
    assert_eq!(letter.fact("agent"), "lettered");
    assert!(letter.fact("topic").ends_with("orders"));
    assert!(!letter.fact("reason").is_empty());
    let done: Vec<_> = world
        .all("done")
        .iter()
        .map(|got| got.key().to_owned())
        .collect();
    assert_eq!(done, ["1", "2"]);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_error = skip)]
async fn skipping(order: Event<Order>) -> citizenk::Result<Order> {
    judge(&order.value)?;
    Ok(order.value)
}

fn skipped(metrics: &str, reason: &str) -> String {
    let reason = format!("reason=\"{reason}\"");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("citizenk_skipped_total") && line.contains(&reason));
    line.and_then(|line| line.rsplit(' ').next())
        .unwrap_or("none")
        .to_owned()
}

pub(crate) async fn a_skip_is_counted(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    world
        .start(App::new("conformance").register::<skipping>())
        .await;
    world.push_orders([13, 1, 13]);
    world.until_at(3).await;
    assert_eq!(skipped(&world.metrics().await, "handler"), "2");
    assert_eq!(world.read("done", 1).await.len(), 1);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_error = retry(1, backoff = "1ms..1ms"))]
async fn stopping(order: Event<Order>, State(seen): State<Seen>) -> citizenk::Result<Order> {
    seen.say(order.value.id);
    judge(&order.value)?;
    Ok(order.value)
}

pub(crate) async fn a_stop_names_agent_and_record(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    let app = app(&seen, &Gate::closed()).register::<stopping>();
    world.start(app.clone()).await;
    world.push_orders([1, 13, 2]);
    let error = world.ended().await;
    assert_eq!(Exit::from(&error), Exit::STOPPED);
    let RunError::Stopped { component, reason } = &error else {
        panic!("{error}")
    };
    assert_eq!(component, "agent `stopping`");
    assert!(reason.contains("orders/0@1"), "{reason}");
    assert_eq!(
        seen.all(),
        ["1", "13", "13"],
        "nothing behind it is handled"
    );
    assert_eq!(world.position(), 1, "what was done before is committed");
    assert_eq!(world.all("done").len(), 1);
    // It comes again, and stops again: nothing is lost by starting over.
    world.start(app).await;
    assert_eq!(Exit::from(&world.ended().await), Exit::STOPPED);
    assert_eq!(seen.all()[3..], ["13", "13"]);
}

fn broken() -> [Push; 3] {
    [
        Push::order(1),
        Push::value(r#"{"id":"seven"}"#).key("k").on(0),
        Push::order(2),
    ]
}

#[citizenk::agent(topics = [ORDERS])]
async fn strict(order: Event<Order>, State(seen): State<Seen>) {
    seen.say(order.value.id);
}

pub(crate) async fn an_undecodable_record_stops_the_service(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<strict>())
        .await;
    world.push("orders", broken());
    let error = world.ended().await.to_string();
    assert!(error.contains("agent `strict`"), "{error}");
    assert!(error.contains("orders/0@1"), "{error}");
    assert_eq!(seen.all(), ["1"]);
    assert_eq!(world.position(), 1);
}

#[citizenk::agent(topics = [ORDERS], on_decode_error = skip)]
async fn lenient(order: Event<Order>, State(seen): State<Seen>) {
    seen.say(order.value.id);
}

pub(crate) async fn an_undecodable_record_is_skipped(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<lenient>())
        .await;
    world.push("orders", broken());
    world.until_at(3).await;
    assert_eq!(seen.all(), ["1", "2"]);
    assert_eq!(skipped(&world.metrics().await, "decode"), "1");
    world.stop().await.unwrap();
}

pub(crate) async fn an_undecodable_record_becomes_a_dead_letter(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<lettered>())
        .await;
    world.push("orders", broken());
    world.until_at(3).await;
    let letters = world.read("letters", 1).await;
    assert_eq!((letters.len(), letters[0].key()), (1, "k"));
    assert_eq!(
        letters[0].text(),
        r#"{"id":"seven"}"#,
        "its bytes as they came"
    );
    assert_eq!(letters[0].fact("stage"), "decode");
    assert!(
        letters[0].fact("reason").contains("id"),
        "it names the field"
    );
    assert_eq!(seen.all(), ["1 try 1", "2 try 1"]);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], batch_size = 4, batch_timeout = "100ms",
                  on_error = dead_letter(LETTERS))]
async fn judged(orders: Batch<Order>, State(seen): State<Seen>) -> BatchOutcome {
    orders
        .iter()
        .map(|order| match order.id {
            13 => Outcome::dead_letter("unlucky"),
            4 => Outcome::skip("even"),
            id => {
                seen.say(id);
                Outcome::Done
            }
        })
        .collect()
}

pub(crate) async fn each_record_of_a_batch_has_its_outcome(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<judged>())
        .await;
    world.push_orders([1, 13, 4, 3]);
    world.until_at(4).await;
    assert_eq!(seen.all(), ["1", "3"]);
    let letters = world.read("letters", 1).await;
    assert_eq!((letters.len(), letters[0].fact("reason")), (1, "unlucky"));
    assert_eq!(skipped(&world.metrics().await, "handler"), "1");
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], output = DONE, batch_size = 3, batch_timeout = "10m",
                  on_error = retry(1, backoff = "1ms..1ms", then = dead_letter(LETTERS)))]
async fn together(
    orders: Batch<Order>,
    State(seen): State<Seen>,
) -> citizenk::Result<Vec<(u32, Order)>> {
    let ids: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
    seen.say(ids.join("+"));
    orders.iter().try_for_each(judge)?;
    Ok(orders.into_iter().map(|order| (order.id, order)).collect())
}

pub(crate) async fn a_failing_batch_is_tried_record_by_record(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<together>())
        .await;
    world.push_orders([1, 13, 2]);
    world.until_at(3).await;
    assert_eq!(seen.all(), ["1+13+2", "1+13+2", "1", "13", "2"]);
    let letters = world.read("letters", 1).await;
    assert_eq!((letters.len(), letters[0].key()), (1, "13"));
    let done: Vec<_> = world
        .all("done")
        .iter()
        .map(|got| got.key().to_owned())
        .collect();
    assert_eq!(done, ["1", "2"]);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], sends = [DONE], timeout = "100ms", on_error = skip)]
async fn slow(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    let wait = order.value.id == 13;
    out.send(&DONE, &order.value.id, order.value.clone())?;
    if wait {
        std::future::pending::<()>().await;
    }
    Ok(())
}

pub(crate) async fn a_timeout_drops_the_attempt_and_its_outputs(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    world
        .start(App::new("conformance").register::<slow>())
        .await;
    world.push_orders([1, 13, 2]);
    world.until_at(3).await;
    let done: Vec<_> = world
        .all("done")
        .iter()
        .map(|got| got.key().to_owned())
        .collect();
    assert_eq!(done, ["1", "2"]);
    let metrics = world.metrics().await;
    let timed_out = metrics
        .lines()
        .find(|line| line.starts_with("citizenk_errors_total") && line.contains("timeout"));
    assert!(
        timed_out.is_some_and(|line| line.ends_with(" 1")),
        "{metrics}"
    );
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], sends = [DONE], on_error = dead_letter(LETTERS))]
async fn nervous(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    out.send(&DONE, &order.value.id, order.value.clone())?;
    assert!(order.value.id != 13, "thirteen!");
    Ok(())
}

pub(crate) async fn a_panic_is_an_error(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    world
        .start(App::new("conformance").register::<nervous>())
        .await;
    world.push_orders([1, 13, 2]);
    world.until_at(3).await;
    let letters = world.read("letters", 1).await;
    assert!(
        letters[0].fact("reason").contains("thirteen!"),
        "{:?}",
        letters[0].headers
    );
    assert_eq!(world.all("done").len(), 2);
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS], on_error = retry(1000, then = dead_letter(LETTERS)))]
async fn wishes(order: Event<Order>, State(seen): State<Seen>) -> citizenk::Result<()> {
    seen.say(order.value.id);
    match order.value.id {
        1 => "x".parse::<u32>().or_skip().map(|_| ()),
        2 => "x".parse::<u32>().or_dead_letter().map(|_| ()),
        _ => Err(AgentError::stop("never three")),
    }
}

pub(crate) async fn a_wish_wins_over_the_policy(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world
        .start(app(&seen, &Gate::closed()).register::<wishes>())
        .await;
    world.push_orders([1, 2, 3]);
    let error = world.ended().await.to_string();
    assert!(error.contains("never three"), "{error}");
    assert_eq!(seen.all(), ["1", "2", "3"], "none is tried again");
    assert_eq!(world.position(), 2);
    assert_eq!(world.all("letters").len(), 1);
}
