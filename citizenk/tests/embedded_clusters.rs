//! Services on two clusters with the real client: two brokers in this process, or one of them nowhere.

#![allow(clippy::unwrap_used, reason = "tests")]

mod two_clusters;

use std::collections::BTreeMap;
use std::time::Duration;

use citizenk::testing::EmbeddedCluster;
use citizenk::{Flags, Settings};
use two_clusters::{Counts, Running, app, broker_of_eu_is_gone};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn each_cluster_has_a_broker_of_its_own() {
    let counts = Counts::default();
    let app = app(&counts, 0);
    let flags = Flags {
        embedded: true,
        ..app.flags()
    };
    let running = Running::start(app, flags, &BTreeMap::new()).await;
    tokio::time::timeout(PATIENCE, async {
        counts.until(5, 5).await;
        running
            .until(|ready| ready.starts_with("HTTP/1.1 200"))
            .await;
    })
    .await
    .unwrap();
    let info = running.get("/info").await;
    assert!(info.contains(r#""name":"eu""#), "{info}");
    running.stop().await.unwrap();
    // `both` reads `eu` and writes to the other: had they one broker, its own topic would be read twice.
    assert!(counts.both() <= counts.eu());
}

/// Nothing listens on the discard port of this machine.
const NOWHERE: &str = "127.0.0.1:9";

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_was_never_there_stops_nobody_and_is_named() {
    let cluster = EmbeddedCluster::start().unwrap();
    for topic in ["ticks", "copies"] {
        cluster.create_topic(topic, 1).unwrap();
    }
    let counts = Counts::default();
    let app = app(&counts, 0);
    let flags = app.flags();
    let env = BTreeMap::from([
        (
            "KAFKA_BOOTSTRAP_SERVERS".to_owned(),
            cluster.bootstrap_servers().to_owned(),
        ),
        ("KAFKA_EU_BOOTSTRAP_SERVERS".to_owned(), NOWHERE.to_owned()),
    ]);
    let begun = std::time::Instant::now();
    let running = Running::start(app, flags, &env).await;
    let ready = tokio::time::timeout(PATIENCE, async {
        counts.until(5, 0).await;
        running.until(broker_of_eu_is_gone).await
    })
    .await
    .unwrap();
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    let body: serde_json::Value =
        serde_json::from_str(ready.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let conditions = body["conditions"].as_array().unwrap();
    let ok = |name: &str| {
        let found = conditions.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {body}"))["ok"]
            .as_bool()
            .unwrap()
    };
    assert!(
        ok("started") && ok("broker") && ok("assigned: two"),
        "{body}"
    );
    assert!(!ok("broker: eu") && !ok("assigned: two on eu"), "{body}");
    // Looking for the topics of a pattern there did not hold up the others for long.
    assert!(begun.elapsed() < PATIENCE);
    running.stop_soon().await;
}

#[test]
fn both_sides_of_a_mix_of_brokers_are_refused() {
    let app = app(&Counts::default(), 0).embedded_by_default();
    let env = BTreeMap::from([("KAFKA_EU_BOOTSTRAP_SERVERS".to_owned(), NOWHERE.to_owned())]);
    // Records of a real cluster must not vanish in a broker that only one of them forgot to name.
    let settings = Settings::resolve(app.flags(), &env, None).unwrap();
    assert!(settings.printable().to_string().contains("broker = none"));
}
