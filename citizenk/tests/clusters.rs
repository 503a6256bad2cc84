//! Several clusters in one app, in memory.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use citizenk::{Agent, Agents, Flags, Guarantee, Policy, RawRecords, Reader, Settings};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders");
/// The same name elsewhere.
const ORDERS_EU: Topic<Order, u32> = ORDERS.cluster("eu");
const SEEN: Topic<Order, u32> = Topic::json("seen");
const SEEN_EU: Topic<Order, u32> = Topic::json("seen").cluster("eu");
const LETTERS_US: Topic<RawBytes> = Topic::raw("letters").cluster("us");

#[citizenk::agent(topics = [ORDERS], output = SEEN)]
async fn here(order: Event<Order>) -> Order {
    order.value
}

/// Reads one cluster and writes to all.
#[citizenk::agent(topics = [ORDERS_EU], sends = [SEEN, SEEN_EU], group = "there")]
async fn there(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    for topic in [&SEEN_EU, &SEEN] {
        out.send(topic, &order.value.id, order.value.clone())?;
    }
    Ok(())
}

#[citizenk::route(post = "/orders/{id}")]
async fn order(producer: Producer, Path(id): Path<u32>) -> Result<(), Problem> {
    let sent = producer.send(&ORDERS_EU, &id, Order { id }).await;
    sent.map(drop).map_err(Problem::internal)
}

fn app() -> App {
    App::new("shop")
        .cluster("eu")
        .register::<here>()
        .register::<there>()
        .register::<order>()
}

fn ids(app: &TestApp, topic: &Topic<Order, u32>) -> Vec<u32> {
    let sent = app.topic(topic).sent();
    let mut ids: Vec<u32> = sent
        .iter()
        .map(|order| order.value.as_ref().unwrap().id)
        .collect();
    ids.sort_unstable();
    ids
}

fn push(app: &TestApp, topic: &Topic<Order, u32>, id: u32) {
    app.topic(topic).push(&id, Order { id });
}

async fn conditions(app: &TestApp) -> (u16, BTreeMap<String, bool>) {
    let ready = app.get("/health/ready").await;
    let body: serde_json::Value = ready.json();
    let list = body["conditions"].as_array().unwrap();
    let of = |one: &serde_json::Value| {
        let name = one["name"].as_str().unwrap().to_owned();
        (name, one["ok"].as_bool().unwrap())
    };
    (ready.status, list.iter().map(of).collect())
}

#[test]
fn topics_of_one_name_on_two_clusters_are_two_topics() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        push(&app, &ORDERS, 1);
        push(&app, &ORDERS_EU, 2);
        app.settle().await;
        assert_eq!(
            ids(&app, &SEEN),
            [1, 2],
            "each record once, in this order of agents"
        );
        assert_eq!(ids(&app, &SEEN_EU), [2]);
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 1);
        assert_eq!(
            app.committed_by("there", &ORDERS_EU).values().sum::<i64>(),
            1
        );
        assert_eq!(app.committed_by("there", &ORDERS).values().sum::<i64>(), 0);

        assert_eq!(app.post("/orders/7", &()).await.status, 200);
        let read = app.reader().topic(&ORDERS_EU).stream().all().await.unwrap();
        let mut read: Vec<u32> = read.iter().map(|order| order.value.id).collect();
        read.sort_unstable();
        assert_eq!(read, [2, 7], "the test's and the endpoint's");
        let raw = app.reader().on("eu").unwrap().raw("orders");
        assert_eq!(raw.stream().all().await.unwrap().len(), 2);
        let error = app.reader().on("ue").unwrap_err().to_string();
        assert_eq!(error, "there is no cluster `ue`; there are default, eu");
        app.stop().await.unwrap();
    });
}

#[test]
fn records_are_handed_over_one_by_one_whatever_their_cluster() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        push(&app, &ORDERS, 1);
        push(&app, &ORDERS_EU, 2);
        app.step().await;
        assert_eq!(ids(&app, &SEEN).len(), 1);
        app.step().await;
        assert_eq!(ids(&app, &SEEN), [1, 2]);
        app.stop().await.unwrap();
    });
}

#[test]
fn one_cluster_down_does_not_stop_the_agents_of_another() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        assert_eq!(conditions(&app).await.0, 200);
        app.cluster_available("eu", false);
        app.advance("1m").await;
        push(&app, &ORDERS, 1);
        push(&app, &ORDERS_EU, 2);
        app.settle().await;
        assert_eq!(ids(&app, &SEEN), [1]);
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 1);

        let (status, conditions) = conditions(&app).await;
        assert_eq!(status, 503);
        assert!(
            conditions["broker"] && !conditions["broker: eu"],
            "{conditions:?}"
        );
        assert!(conditions["assigned: shop"]);

        app.cluster_available("eu", true);
        app.advance("10s").await;
        assert_eq!(ids(&app, &SEEN), [1, 2]);
        app.stop().await.unwrap();
    });
}

#[test]
fn what_the_service_says_of_itself_names_clusters() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        push(&app, &ORDERS, 1);
        push(&app, &ORDERS_EU, 2);
        app.settle().await;
        let metrics = app.get("/metrics").await.body;
        let of_eu = "agent=\"there\",topic=\"orders\"";
        let line = metrics.lines().find(|line| line.contains(of_eu)).unwrap();
        assert!(line.contains("cluster=\"eu\""), "{line}");
        let line = metrics
            .lines()
            .find(|line| line.contains("agent=\"here\",topic"));
        assert!(
            !line.unwrap().contains("cluster="),
            "as in an app with one cluster"
        );

        let info: serde_json::Value = app.get("/info").await.json();
        let names: Vec<_> = info["clusters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(names, ["default", "eu"]);
        let stats: serde_json::Value = app.get("/stats").await.json();
        assert_eq!(stats["consumers"]["there on eu"]["cluster"], "eu");
        assert!(stats["producers"]["eu"].is_object());

        let topics: serde_json::Value = app.get("/topics").await.json();
        let topics = topics.as_array().unwrap();
        let names: Vec<_> = topics
            .iter()
            .map(|topic| topic["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["eu/orders", "eu/seen", "orders", "seen"]);
        let sent = app
            .post("/topics/eu%2Forders?key=9", &Order { id: 9 })
            .await;
        assert_eq!(sent.status, 200, "{}", sent.body);
        assert_eq!(
            app.lag(&ORDERS_EU) + app.committed_by("there", &ORDERS_EU).values().sum::<i64>(),
            2
        );
        let called = app
            .post("/agents/there/eu%2Forders", &Order { id: 8 })
            .await;
        assert_eq!(called.status, 200, "{}", called.body);
        let document: serde_json::Value = app.get("/openapi.json").await.json();
        assert!(document["paths"]["/topics/eu%2Forders"]["post"].is_object());
        app.stop().await.unwrap();
    });
}

#[test]
fn agents_that_come_later_read_any_cluster() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let agents: Agents = app.agents();
        let copy = Agent::builder::<RawRecords>("copy")
            .raw(["eu/^or.*"])
            .group("copies")
            .sends(&LETTERS_HERE)
            .handle(|records: RawRecords, out: Outbox| {
                let staged = out.forward(&LETTERS_HERE, records.iter());
                async move { staged }
            });
        let running = agents.start(copy).await.unwrap();
        assert_eq!(running.status().cluster, "eu");
        push(&app, &ORDERS_EU, 3);
        push(&app, &ORDERS, 4);
        app.settle().await;
        assert_eq!(app.topic(&LETTERS_HERE).sent_raw().len(), 1);
        assert_eq!(
            app.committed_by("copies", &ORDERS_EU).values().sum::<i64>(),
            1
        );
        running.stop().await.unwrap();

        let wrong = Agent::builder::<RawRecords>("wrong")
            .raw(["ue/orders"])
            .handle(async |_: RawRecords, _: Outbox| {});
        let error = agents.start(wrong).await.unwrap_err().to_string();
        for part in [
            "cluster `ue`",
            "did you mean `eu`?",
            "there are: default, eu",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        app.stop().await.unwrap();
    });
}

const LETTERS_HERE: Topic<RawBytes> = Topic::raw("letters");

#[citizenk::agent(topics = [ORDERS_EU], on_error = dead_letter(LETTERS_US))]
async fn refuse(_order: Event<Order>) -> citizenk::Result<()> {
    Err(std::io::Error::other("no").into())
}

#[test]
fn dead_letters_may_go_to_a_third_cluster_and_say_where_they_are_from() {
    block_on(async {
        let app = || {
            let app = App::new("refuse").cluster("eu").cluster("us");
            app.register::<refuse>()
        };
        let app = TestApp::new(app).start().await.unwrap();
        push(&app, &ORDERS_EU, 3);
        app.settle().await;
        let letters = app.dead_letters();
        assert_eq!(letters.len(), 1);
        let from = letters[0].headers.text("citizenk.dead-letter.cluster");
        assert_eq!(from, Some("eu"));
        // No component names a topic of the cluster without a name, and nothing says where it is.
        let info: serde_json::Value = app.get("/info").await.json();
        assert_eq!(info["clusters"][0]["name"], "eu");
        assert_eq!(app.committed(&ORDERS_EU).values().sum::<i64>(), 1);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_paused_or_full_producer_of_one_cluster_loses_nothing() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        app.producer_capacity(2);
        for id in 0..50 {
            push(&app, &ORDERS_EU, id);
        }
        app.settle().await;
        let all: Vec<u32> = (0..50).collect();
        assert_eq!(ids(&app, &SEEN), all);
        assert_eq!(ids(&app, &SEEN_EU), all);
        assert_eq!(
            app.committed_by("there", &ORDERS_EU).values().sum::<i64>(),
            50
        );
        app.stop().await.unwrap();
    });
}

#[derive(Clone, Default)]
struct Hooked(Arc<Mutex<Vec<String>>>);

#[citizenk::on_event(assigned)]
async fn assigned(partitions: Partitions, State(hooked): State<Hooked>) {
    let (cluster, count) = (partitions.cluster(), partitions.iter().count());
    hooked.0.lock().unwrap().push(format!("{cluster} {count}"));
}

#[test]
fn hooks_hear_whose_partitions_they_are() {
    block_on(async {
        let hooked = Hooked::default();
        let state = hooked.clone();
        let app = move || app().state(state.clone()).register::<assigned>();
        let app = TestApp::new(app)
            .partitions(&ORDERS_EU, 2)
            .start()
            .await
            .unwrap();
        let mut heard = hooked.0.lock().unwrap().clone();
        heard.sort();
        assert_eq!(heard, ["default 4", "eu 2"]);
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [ORDERS, ORDERS_EU])]
async fn both(_order: Event<Order>) {}

#[citizenk::agent(topics = [ORDERS], output = SEEN_EU, guarantee = exactly_once)]
async fn once(order: Event<Order>) -> Order {
    order.value
}

#[citizenk::agent(topics = [ORDERS], guarantee = exactly_once, on_error = dead_letter(LETTERS_US))]
async fn once_with_letters(_order: Event<Order>) -> citizenk::Result<()> {
    Ok(())
}

#[test]
fn what_cannot_be_is_told_when_the_app_is_built() {
    let error = |app: App| app.check().unwrap_err().to_string();
    let text = error(App::new("a").cluster("en").register::<there>());
    for part in [
        "cluster `eu`",
        "did you mean `en`?",
        "there are: default, en",
        "App::cluster",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let text = error(App::new("a").cluster("eu").register::<both>());
    assert!(
        text.contains("two clusters, `default` and `eu`; make an agent for each"),
        "{text}"
    );
    let text = error(App::new("a").cluster("eu").register::<once>());
    assert!(
        text.contains("writes topic `seen` of cluster `eu`, but a transaction is of one"),
        "{text}"
    );
    let letters = App::new("a").cluster("us").register::<once_with_letters>();
    assert!(error(letters).contains("writes topic `letters` of cluster `us`"));
    for (name, part) in [
        ("EU", "lower case letters"),
        ("sasl-2", "KAFKA_SASL"),
        ("default", "another meaning"),
    ] {
        let text = error(App::new("a").cluster(name));
        assert!(text.contains(part), "{text}");
    }
    // At least once there is no transaction to leave.
    let copies = App::new("a")
        .cluster("eu")
        .guarantee(Guarantee::AtLeastOnce);
    copies
        .on_error(Policy::skip())
        .register::<there>()
        .check()
        .unwrap();
}

fn resolve(app: &App, env: &[(&str, &str)]) -> Result<Settings, String> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = Settings::resolve(app.flags(), &env.collect(), None);
    settings.map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })
}

#[tokio::test]
async fn unset_servers_are_named() {
    let error = resolve(&app(), &[("KAFKA_BOOTSTRAP_SERVERS", "a:1")]).unwrap_err();
    for part in [
        "KAFKA_EU_BOOTSTRAP_SERVERS: is not set",
        "--cluster eu.bootstrap.servers=HOST:PORT",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // The unnamed one is needed because `orders` and `seen` are on it.
    let settings = resolve(&app(), &[("KAFKA_EU_BOOTSTRAP_SERVERS", "a:1")]).unwrap();
    let error = app().build_with(settings).await.unwrap_err().to_string();
    assert!(
        error.contains("KAFKA_BOOTSTRAP_SERVERS: is not set"),
        "{error}"
    );

    let named = || {
        App::new("a")
            .cluster("eu")
            .cluster("us")
            .register::<refuse>()
    };
    let env = [
        ("KAFKA_EU_BOOTSTRAP_SERVERS", "a:1"),
        ("KAFKA_US_BOOTSTRAP_SERVERS", "b:1"),
    ];
    let settings = resolve(&named(), &env).unwrap();
    named().build_with(settings).await.unwrap();

    let unasked = Settings::resolve(
        Flags {
            bootstrap_servers: Some("a:1".into()),
            ..Flags::default()
        },
        &BTreeMap::new(),
        None,
    );
    let error = app()
        .build_with(unasked.unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("KAFKA_EU_BOOTSTRAP_SERVERS") && error.contains("App::flags"),
        "{error}"
    );
}

#[tokio::test]
async fn settings_of_a_cluster_that_is_not_there_are_a_mistake() {
    let flags = Flags {
        cluster: vec!["ue.bootstrap.servers=x:1".into()],
        embedded: false,
        offline: true,
        ..app().flags()
    };
    let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
    let error = app().build_with(settings).await.unwrap_err().to_string();
    assert!(
        error.contains("no cluster `ue`; did you mean `eu`?"),
        "{error}"
    );
    assert!(error.contains("it has: default, eu"), "{error}");
}

/// Tools without an app read what the settings have.
#[tokio::test]
async fn a_reader_without_an_app_knows_the_clusters_of_its_settings() {
    let flags = Flags {
        embedded: true,
        clusters: vec!["eu".into()],
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &BTreeMap::new(), None).unwrap();
    let reader = Reader::connect(&settings).unwrap();
    assert!(reader.on("eu").is_ok() && reader.on("us").is_err());
}
