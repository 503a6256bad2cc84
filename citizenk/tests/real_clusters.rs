//! A service on two real Kafkas; left out where `cargo xtask real` has not started them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod two_clusters;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use citizenk::Flags;
use two_clusters::{Counts, Running, app, broker_of_eu_is_gone};

/// A broker that was heard within 30 s is well, so the end of that takes a while.
const PATIENCE: Duration = Duration::from_secs(100);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_clusters_is_killed_and_the_agents_of_the_other_go_on() {
    let Ok(second) = std::env::var("CITIZENK_SECOND_KAFKA") else {
        return;
    };
    let pid = std::env::var("CITIZENK_SECOND_KAFKA_PID").unwrap();
    let run = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let run = run.unwrap().as_nanos();
    let counts = Counts::default();
    let app = app(&counts, run);
    let flags = Flags {
        topic: vec![
            format!("ticks=ticks-{run}"),
            format!("eu/ticks=ticks-{run}"),
            format!("copies=copies-{run}"),
        ],
        ..app.flags()
    };
    let env = BTreeMap::from([
        (
            "KAFKA_BOOTSTRAP_SERVERS".to_owned(),
            std::env::var("KAFKA_BOOTSTRAP_SERVERS").unwrap(),
        ),
        ("KAFKA_EU_BOOTSTRAP_SERVERS".to_owned(), second),
        // Topics are made by the first record.
        (
            "KAFKA_CONSUMER_TOPIC_METADATA_REFRESH_INTERVAL_MS".to_owned(),
            "500".to_owned(),
        ),
    ]);
    let running = Running::start(app, flags, &env).await;
    tokio::time::timeout(PATIENCE, async {
        counts.until(20, 20).await;
        running
            .until(|ready| ready.starts_with("HTTP/1.1 200"))
            .await;
    })
    .await
    .unwrap();

    let metrics = running.get("/metrics").await;
    assert!(metrics.contains(r#"agent="from_eu""#) && metrics.contains(r#"cluster="eu""#));

    let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
    assert!(killed.success());
    let begun = Instant::now();
    let mut quiet = Duration::ZERO;
    let named = async { running.until(broker_of_eu_is_gone).await };
    let watched = async {
        // Whatever else happens, there is never a long pause here.
        loop {
            let (before, since) = (counts.here(), Instant::now());
            counts.until(before + 20, 0).await;
            quiet = quiet.max(since.elapsed());
        }
    };
    let ready = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            ready = named => ready,
            () = watched => unreachable!("it never ends"),
        }
    });
    let ready = ready.await.unwrap();
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(begun.elapsed() < PATIENCE);
    // 20 ticks take a second.
    assert!(quiet < Duration::from_secs(8), "{quiet:?}");
    let body: serde_json::Value =
        serde_json::from_str(ready.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let conditions = body["conditions"].as_array().unwrap();
    let broker = conditions
        .iter()
        .find(|one| one["name"] == "broker")
        .unwrap();
    assert_eq!(broker["ok"], true, "{body}");
    running.stop_soon().await;
}
