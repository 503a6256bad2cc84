//! Snapshots in `expansions/`, one per attribute and feature: what a reader of the documentation is
//! shown, and what a change of the expansion has to show in its diff.
//! `CITIZENK_BLESS=1 cargo test -p citizenk-macros` writes them.

use std::path::Path;

use super::expand;

fn check(name: &str, source: &str) {
    let tokens = expand(source);
    let file =
        syn::parse2(tokens.clone()).unwrap_or_else(|error| panic!("{name}: {error}\n{tokens}"));
    let found = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("expansions")
        .join(format!("{name}.rs"));
    if std::env::var_os("CITIZENK_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, expected,
        "{name}: CITIZENK_BLESS=1 writes the new one"
    );
}

macro_rules! snapshots {
    ($($name:ident: $source:literal)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name), $source);
        }
    )*};
}

snapshots! {
    agent: r#"
        #[agent(topics = [ORDERS])]
        /// Counts orders.
        pub(crate) async fn orders(order: Event<Order>) {
            count(order);
        }
    "#
    agent_with_everything: r#"
        #[agent(
            topics = [ORDERS, REFUNDS.as_input::<Order>()],
            batch_size = 100,
            batch_timeout = "200ms",
            sends = [ALERTS],
            on_decode_error = dead_letter(DLQ),
            on_error = retry(5, backoff = "100ms..10s", then = retry_topics(["30s", "10m"], then = dead_letter(DLQ))),
            on_produce_error = stop,
            timeout = "20s",
            concurrency = 8,
            blocking = true,
            name = "all-orders",
            group = "audit",
            start = latest,
            after = [cache],
            handle = Orders,
        )]
        #[cfg(feature = "orders")]
        async fn orders(Batch(orders): Batch<Event<Order>>, State(db): State<Db>, mut out: Outbox) -> citizenk::Result<()> {
            Ok(())
        }
    "#
    agent_with_output: r#"
        #[agent(topics = [ORDERS], output = alerts::ALERTS, group = none, start = earliest)]
        async fn alert(order: Event<Order>, Key(key): Key<u32>) -> Option<Alert> {
            None
        }
    "#
    agent_with_errors: r#"
        #[agent(topic = [ORDERS])]
        pub fn orders(order: Event<Order>) {}
    "#
    route: r#"
        #[route(post = "/events/{id}", tag = "events")]
        /// Takes events.
        async fn submit(Path(id): Path<u32>, producer: Producer, Json(videos): Json<Vec<Video>>) -> Result<Json<Accepted>, Problem> {
            answer()
        }
    "#
    route_without_arguments: r#"
        #[route(get = "/")]
        async fn index() -> impl IntoResponse {
            "hello"
        }
    "#
    repeat_every: r#"
        #[repeat_every("5s", wait_first = true, max_repetitions = 10, on_error = stop, on = owner(ORDERS))]
        async fn report(State(counts): State<Counts>) {}
    "#
    repeat_at: r#"
        #[repeat_at("0 6 * * *", tz = "Europe/Rome", on = one)]
        async fn daily() -> citizenk::Result<()> { Ok(()) }
    "#
    on_event: r#"
        #[on_event(startup)]
        async fn warm_up(State(counts): State<Counts>) -> citizenk::Result<()> { Ok(()) }
    "#
    on_event_of_partitions: r#"
        #[on_event(assigned)]
        async fn joined(partitions: Partitions) {}
    "#
    message: r#"
        #[message]
        #[serde(tag = "kind")]
        pub enum Change { Ordered { id: u32 }, Refunded { id: u32 } }
    "#
    message_with_parameters: r#"
        #[message(crate = ck)]
        #[derive(Debug)]
        struct Envelope<T: Clone>(T) where T: Debug;
    "#
    module: r#"
        #[module(prefix = "/billing", name = "bills", on_error = retry(3, then = dead_letter(DLQ)))]
        pub mod billing {
            //! Bills.
            use super::*;
            const LIMITS: [u32; 2] = [1, 2];
            #[citizenk::agent(topics = [ORDERS])]
            async fn bill(order: Event<Order>) {}
            #[cfg(feature = "reports")]
            #[citizenk::repeat_every("5s", handle = Report)]
            async fn report() {}
            fn helper() {}
            #[citizenk::module]
            mod inner {}
        }
    "#
}
