//! Outputs that were accepted and then not delivered, whatever the broker's reason. The embedded broker alone can
//! be told to refuse.

use std::time::Duration;

use citizenk::testing::SendRefusal;
use citizenk::{Component, Exit};

use super::*;

const REASONS: [SendRefusal; 4] = [
    SendRefusal::NotEnoughReplicas,
    SendRefusal::TooLarge,
    SendRefusal::NotAuthorized,
    SendRefusal::InvalidRecord,
];
/// More than anybody sends meanwhile.
const ALL_REQUESTS: usize = 10_000;

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = retry(1000, backoff = "20ms..50ms"))]
async fn patient(order: Event<Order>, State(seen): State<Seen>, State(gate): State<Gate>) -> Order {
    seen.say(order.value.id);
    gate.pass().await;
    order.value
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = skip)]
async fn careless(
    order: Event<Order>,
    State(seen): State<Seen>,
    State(gate): State<Gate>,
) -> Order {
    seen.say(order.value.id);
    gate.pass().await;
    order.value
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = dead_letter(LETTERS))]
async fn tidy(order: Event<Order>, State(seen): State<Seen>, State(gate): State<Gate>) -> Order {
    seen.say(order.value.id);
    gate.pass().await;
    order.value
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_produce_error = stop)]
async fn strict(order: Event<Order>, State(seen): State<Seen>, State(gate): State<Gate>) -> Order {
    seen.say(order.value.id);
    gate.pass().await;
    order.value
}

#[citizenk::agent(topics = [ORDERS], output = DONE, on_decode_error = dead_letter(LETTERS),
                  on_produce_error = retry(1000, backoff = "20ms..50ms"))]
async fn lettered(
    order: Event<Order>,
    State(seen): State<Seen>,
    State(gate): State<Gate>,
) -> Order {
    seen.say(order.value.id);
    gate.pass().await;
    order.value
}

/// One of three orders is done, then the broker refuses and the other two are handled.
async fn refused<C: Component>(why: SendRefusal, requests: usize) -> (World, Seen) {
    let (seen, gate) = (Seen::default(), Gate::closed());
    let mut world = Broker::Embedded.open(&ALL).await;
    // The client tries some refusals again by itself, for as long as this.
    world.with_producer("message.timeout.ms=2000");
    world.start(app(&seen, &gate).register::<C>()).await;
    world.push_orders([1, 2, 3]);
    gate.let_go(1);
    world.until_at(1).await;
    world.refuse_sends(why, requests);
    gate.let_go(2);
    (world, seen)
}

/// The value of a counter, all series that have this word together.
fn counted(metrics: &str, name: &str, word: &str) -> u64 {
    let lines = metrics.lines();
    let lines =
        lines.filter(|line| line.starts_with(name) && line.contains(&format!("\"{word}\"")));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

async fn until_counted(world: &World, name: &str, word: &str, least: u64) {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while counted(&world.metrics().await, name, word) < least {
        pace.tick().await;
    }
}

/// Whose outputs are there, sorted: what is sent again comes after what was on its way meanwhile.
fn done(world: &World) -> Vec<String> {
    let keys = world.all("done").into_iter();
    let mut keys: Vec<_> = keys.map(|got| got.key().to_owned()).collect();
    keys.sort();
    keys
}

pub(crate) async fn refused_outputs_hold_their_offset_whatever_the_reason() {
    for why in REASONS {
        let (mut world, seen) = refused::<patient>(why, ALL_REQUESTS).await;
        until_counted(&world, "citizenk_errors_total", "produce", 2).await;
        assert_eq!(
            world.position(),
            1,
            "{why:?}: committed past what is not there"
        );
        assert_eq!(done(&world), ["1"], "{why:?}");
        world.accept_sends();
        world.until_at(3).await;
        assert_eq!(done(&world), ["1", "2", "3"], "{why:?}: each once");
        assert_eq!(seen.all(), ["1", "2", "3"], "{why:?}: no call again");
        world.stop().await.unwrap();
    }
}

pub(crate) async fn a_policy_may_let_refused_outputs_go() {
    // What the client tries again by itself would arrive. Of a batch that is too large each record goes again
    // alone: the second refusal is for the first of them.
    let cases = [
        (SendRefusal::TooLarge, 2),
        (SendRefusal::NotAuthorized, 1),
        (SendRefusal::InvalidRecord, 1),
    ];
    for (why, requests) in cases {
        let (mut world, _) = refused::<careless>(why, requests).await;
        world.until_at(3).await;
        let skipped = counted(&world.metrics().await, "citizenk_skipped_total", "produce");
        let done = done(&world);
        assert!(skipped >= 1, "{why:?}");
        assert_eq!(done.len() as u64 + skipped, 3, "{why:?}: {done:?}");
        world.stop().await.unwrap();

        let (mut world, _) = refused::<tidy>(why, requests).await;
        world.until_at(3).await;
        let letters = world.all("letters");
        assert!(!letters.is_empty(), "{why:?}");
        assert_eq!(letters[0].fact("stage"), "produce", "{why:?}");
        assert_eq!(self::done(&world).len() + letters.len(), 3, "{why:?}");
        world.stop().await.unwrap();
    }
}

pub(crate) async fn a_refusal_that_stops_commits_nothing_behind_it() {
    for why in REASONS {
        let (mut world, _) = refused::<strict>(why, ALL_REQUESTS).await;
        let error = world.ended().await;
        assert_eq!(Exit::from(&error), Exit::STOPPED, "{why:?}: {error}");
        assert_eq!(world.position(), 1, "{why:?}");
        assert_eq!(done(&world), ["1"], "{why:?}");
    }
}

pub(crate) async fn a_dead_letter_that_is_refused_holds_its_offset() {
    for why in REASONS {
        let (seen, gate) = (Seen::default(), Gate::closed());
        let mut world = Broker::Embedded.open(&ALL).await;
        world.with_producer("message.timeout.ms=2000");
        world.start(app(&seen, &gate).register::<lettered>()).await;
        world.push_orders([1]);
        world.push("orders", [Push::value("no order").key("k").on(0)]);
        world.push_orders([3]);
        seen.until(&world, 1).await;
        world.refuse_sends(why, ALL_REQUESTS);
        gate.let_go(2);
        until_counted(&world, "citizenk_errors_total", "produce", 2).await;
        assert_eq!(world.position(), 0, "{why:?}");
        assert!(world.all("letters").is_empty(), "{why:?}");
        world.accept_sends();
        world.until_at(3).await;
        let letters = world.read("letters", 1).await;
        assert_eq!(
            (letters.len(), letters[0].text()),
            (1, "no order"),
            "{why:?}"
        );
        assert_eq!(done(&world), ["1", "3"], "{why:?}");
        world.stop().await.unwrap();
    }
}
