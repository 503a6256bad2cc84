use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::DEFAULT_CLUSTER;

fn lane(agent: &str, partition: i32) -> LaneId {
    LaneId {
        agent: agent.to_owned(),
        topic: "videos".to_owned(),
        partition,
        group: "g".to_owned(),
        cluster: ClusterLabel(DEFAULT_CLUSTER),
    }
}

fn has(text: &str, line: &str) {
    assert!(
        text.lines().any(|found| found == line),
        "{line}\nnot in\n{text}"
    );
}

/// With a value for each metric there is.
fn full() -> Metrics {
    let metrics = Metrics::new();
    metrics.set_info("video-counter", "1.2.3", "kafka");
    metrics.set_info("video-counter", "1.2.3", "embedded");
    let process = metrics.lane(&lane("process", 0));
    process.taken(10, 1_000);
    let in_flight = process.in_flight();
    in_flight.add(10);
    in_flight.sub(4);
    process.handled(Duration::from_micros(150));
    process.retried(2);
    process.dead_lettered(1);
    process.postponed(4);
    process.sent(3);
    process.skipped(SkipReason::Decode, 5);
    process.failed(Stage::Panic, 1);
    let consumer = metrics.consumer(DEFAULT_CLUSTER, "g");
    consumer.rebalanced();
    consumer.committed(CommitResult::Ok, 1_500);
    consumer.committed(CommitResult::Failed, 9_000);
    consumer.stalled("handler");
    process.shipped(Duration::from_millis(3));
    let partition = consumer.partition("videos", 0);
    partition.lag(7);
    partition.age(2_500);
    partition.queued(8, 900);
    partition.stalled(true);
    partition.paused(true);
    partition.lost(2);
    partition.created_anew();
    let producer = metrics.producer(DEFAULT_CLUSTER, "main");
    producer.in_flight(6);
    producer.unawaited("alerts").failed();
    metrics.timer("report").ticked(TickResult::Skipped);
    metrics.request("GET", "/cameras/{camera_id}", 200, Duration::from_millis(3));
    let stream = metrics.stream("live");
    stream.published();
    stream.missed(3);
    stream.coalesced(0);
    stream.disconnected(LeaveReason::Slow);
    let client = stream.client(ClientKind::Websocket);
    drop(stream.client(ClientKind::Websocket));
    metrics.pinned_chunks(2);
    // Gauges of partitions end with their handle.
    std::mem::forget((in_flight, partition, client));
    metrics
}

#[test]
fn everything_has_a_name_a_unit_and_labels() {
    let text = full().render();
    let at = r#"agent="process",topic="videos",partition="0",group="g""#;
    for line in [
        format!("citizenk_records_total{{{at}}} 10"),
        format!("citizenk_record_bytes_total{{{at}}} 1000"),
        format!("citizenk_in_flight_records{{{at}}} 6"),
        format!("citizenk_retries_total{{{at}}} 2"),
        format!("citizenk_dead_letters_total{{{at}}} 1"),
        format!("citizenk_retry_records_total{{{at}}} 4"),
        format!("citizenk_outputs_total{{{at}}} 3"),
        format!("citizenk_skipped_total{{{at},reason=\"decode\"}} 5"),
        format!("citizenk_errors_total{{{at},stage=\"panic\"}} 1"),
    ] {
        has(&text, &line);
    }
    for line in [
        r#"citizenk_handler_duration_seconds_bucket{le="0.0001",agent="process",group="g"} 0"#,
        r#"citizenk_handler_duration_seconds_bucket{le="0.0002",agent="process",group="g"} 1"#,
        r#"citizenk_rebalances_total{group="g"} 1"#,
        r#"citizenk_commits_total{group="g",result="ok"} 1"#,
        r#"citizenk_commits_total{group="g",result="failed"} 1"#,
        r#"citizenk_last_commit_timestamp_seconds{group="g"} 1.5"#,
        r#"citizenk_consumer_lag_records{group="g",topic="videos",partition="0"} 7"#,
        r#"citizenk_consumer_paused{group="g",topic="videos",partition="0"} 1"#,
        r#"citizenk_consumer_lag_seconds{group="g",topic="videos",partition="0"} 2.5"#,
        r#"citizenk_consumer_queued_records{group="g",topic="videos",partition="0"} 8"#,
        r#"citizenk_consumer_queued_bytes{group="g",topic="videos",partition="0"} 900"#,
        r#"citizenk_consumer_stalled{group="g",topic="videos",partition="0"} 1"#,
        r#"citizenk_stalls_total{group="g",cause="handler"} 1"#,
        r#"citizenk_produce_duration_seconds_count{agent="process",group="g"} 1"#,
        r#"citizenk_retention_lost_records_total{group="g",topic="videos",partition="0"} 2"#,
        r#"citizenk_partitions_created_anew_total{group="g",topic="videos",partition="0"} 1"#,
        r#"citizenk_producer_in_flight_records{producer="main"} 6"#,
        r#"citizenk_producer_unawaited_errors_total{producer="main",topic="alerts"} 1"#,
        r#"citizenk_timer_ticks_total{timer="report",result="skipped"} 1"#,
        r#"citizenk_http_requests_total{method="GET",route="/cameras/{camera_id}",status="200"} 1"#,
        r#"citizenk_http_request_duration_seconds_count{method="GET",route="/cameras/{camera_id}"} 1"#,
        r#"citizenk_stream_values_total{stream="live"} 1"#,
        r#"citizenk_stream_clients{stream="live",kind="websocket"} 1"#,
        r#"citizenk_stream_missed_values_total{stream="live",reason="slow"} 3"#,
        r#"citizenk_stream_disconnects_total{stream="live",reason="slow"} 1"#,
        "citizenk_pinned_chunks 2",
        r#"citizenk_info{app="video-counter",version="1.2.3",broker="embedded"} 1"#,
        "# EOF",
    ] {
        has(&text, line);
    }
    assert!(!text.contains("broker=\"kafka\""), "info was replaced");
    assert!(
        !text.contains("reason=\"handler\""),
        "reasons appear when they occur"
    );
}

/// Name, type and labels of every metric, as Prometheus stores them.
fn known() -> BTreeSet<(String, String, String)> {
    let text = full().render();
    let types = text.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name, kind))
    });
    types
        .map(|(name, kind)| {
            let stored = match kind {
                "counter" => format!("{name}_total"),
                _ => name.to_owned(),
            };
            let sample = match kind {
                "histogram" => format!("{name}_count"),
                _ => stored.clone(),
            };
            let rest = text
                .lines()
                .find_map(|line| line.strip_prefix(&*sample))
                .unwrap_or_else(|| panic!("`full` gives {name} no value"));
            let labels = match rest.strip_prefix('{') {
                Some(rest) => rest
                    .split_once("} ")
                    .map_or(rest, |(labels, _)| labels)
                    .split(',')
                    .filter_map(|label| Some(format!("`{}`", label.split_once('=')?.0)))
                    .collect::<Vec<_>>()
                    .join(", "),
                None => String::new(),
            };
            (stored, kind.to_owned(), labels)
        })
        .collect()
}

#[test]
fn the_guide_lists_every_metric() {
    let guide = include_str!("../../../../docs/metrics.md");
    let listed: BTreeSet<_> = guide
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `citizenk_")?.split('|').map(str::trim);
            let name = format!("citizenk_{}", cells.next()?.trim_end_matches('`'));
            let (kind, labels) = (cells.next()?.to_owned(), cells.next()?.to_owned());
            assert!(
                cells.next().is_some_and(|text| !text.is_empty()),
                "{name} means something"
            );
            Some((name, kind, labels))
        })
        .collect();
    let known = known();
    let missing: Vec<_> = known.difference(&listed).collect();
    let unknown: Vec<_> = listed.difference(&known).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not in docs/metrics.md: {missing:#?}\nnot in the code: {unknown:#?}"
    );
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    fn queries(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    match value.as_str() {
                        Some(text) if matches!(&**key, "expr" | "query" | "definition") => {
                            found.push(text.to_owned());
                        }
                        _ => queries(value, found),
                    }
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
            _ => {}
        }
    }
    let text = include_str!("../../../../docs/grafana/citizenk.json");
    let dashboard: serde_json::Value = serde_json::from_str(text).expect("the dashboard is JSON");
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    let known = known();
    let mut asked = BTreeSet::new();
    for query in &found {
        for part in query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            if part.starts_with("citizenk_") {
                let name = part
                    .trim_end_matches("_bucket")
                    .trim_end_matches("_count")
                    .trim_end_matches("_sum");
                assert!(
                    known.iter().any(|(known, ..)| known == name),
                    "{name} in `{query}`"
                );
                asked.insert(name.to_owned());
            }
        }
    }
    assert!(asked.len() >= 15, "{asked:?}");
    let variables: Vec<_> = dashboard["templating"]["list"]
        .as_array()
        .expect("variables")
        .iter()
        .filter_map(|variable| variable["name"].as_str())
        .collect();
    assert_eq!(variables, ["datasource", "job", "group", "agent"]);
}

#[test]
fn asking_twice_gives_the_same_counters() {
    let metrics = Metrics::new();
    metrics.lane(&lane("a", 0)).taken(1, 1);
    metrics.clone().lane(&lane("a", 0)).taken(1, 1);
    metrics.lane(&lane("a", 1)).skipped(SkipReason::Detached, 3);
    let lanes = metrics.lanes();
    assert_eq!(lanes.len(), 2);
    assert_eq!(lanes[0].id().partition, 0);
    assert_eq!(lanes[0].values()[0], ("records".to_owned(), 2));
    assert!(
        lanes[1]
            .values()
            .contains(&("skipped_detached".to_owned(), 3))
    );
}

#[test]
fn gauges_of_lost_partitions_go_and_counters_stay() {
    let metrics = Metrics::new();
    let consumer = metrics.consumer(DEFAULT_CLUSTER, "g");
    let partition = consumer.partition("videos", 3);
    let clone = partition.clone();
    partition.lag(7);
    partition.lost(1);
    drop(partition);
    assert!(metrics.render().contains("citizenk_consumer_lag_records{"));
    drop(clone);
    let text = metrics.render();
    assert!(!text.contains("citizenk_consumer_lag_records{"));
    assert!(!text.contains("citizenk_consumer_paused{"));
    assert!(text.contains("citizenk_retention_lost_records_total{"));
}

#[test]
fn an_ended_lane_holds_nothing() {
    let metrics = Metrics::new();
    let lane = metrics.lane(&lane("a", 0));
    let (old, new) = (lane.in_flight(), lane.in_flight());
    old.add(5);
    new.add(2);
    drop(old);
    assert!(lane.values().contains(&("in_flight".to_owned(), 2)));
    new.sub(2);
    assert!(lane.values().contains(&("in_flight".to_owned(), 0)));
}

#[test]
fn a_partition_given_back_keeps_its_gauges() {
    let metrics = Metrics::new();
    let old = metrics
        .consumer(DEFAULT_CLUSTER, "g")
        .partition("videos", 0);
    let new = metrics
        .consumer(DEFAULT_CLUSTER, "g")
        .partition("videos", 0);
    drop(old);
    new.lag(3);
    has(
        &metrics.render(),
        r#"citizenk_consumer_lag_records{group="g",topic="videos",partition="0"} 3"#,
    );
}

#[test]
fn threads_count_together() {
    let metrics = Metrics::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let lane = metrics.lane(&lane("a", 0));
                for _ in 0..1_000 {
                    lane.taken(1, 2);
                    lane.failed(Stage::Handler, 1);
                }
            });
        }
    });
    let values = metrics.lane(&lane("a", 0)).values();
    assert!(values.contains(&("records".to_owned(), 4_000)));
    assert!(values.contains(&("errors_handler".to_owned(), 4_000)));
}

#[test]
fn only_a_cluster_with_a_name_is_a_label() {
    let metrics = Metrics::new();
    let eu = LaneId {
        cluster: ClusterLabel("eu"),
        ..lane("a", 0)
    };
    metrics.lane(&eu).taken(1, 0);
    metrics.lane(&lane("a", 0)).taken(2, 0);
    // Its series goes with it.
    let partition = metrics.consumer("eu", "g").partition("videos", 0);
    partition.lag(3);
    metrics.producer("eu", "main").in_flight(4);
    let text = metrics.render();
    let labels = "agent=\"a\",topic=\"videos\",partition=\"0\",group=\"g\"";
    has(
        &text,
        &format!("citizenk_records_total{{{labels},cluster=\"eu\"}} 1"),
    );
    has(&text, &format!("citizenk_records_total{{{labels}}} 2"));
    has(
        &text,
        "citizenk_producer_in_flight_records{producer=\"main\",cluster=\"eu\"} 4",
    );
    assert!(text.contains("cluster=\"eu\"} 3"), "{text}");
}

proptest! {
    #[test]
    fn no_label_breaks_the_text(agent in ".{0,20}", topic in "[\"\\\\\n{}a]{0,10}") {
        let metrics = Metrics::new();
        metrics.lane(&LaneId { agent, topic, partition: 0, group: String::new(), cluster: ClusterLabel(DEFAULT_CLUSTER) }).taken(1, 0);
        let text = metrics.render();
        let samples = text.lines().filter(|line| line.starts_with("citizenk_records_total{")).count();
        prop_assert_eq!(samples, 1);
        for line in text.lines() {
            prop_assert!(line.starts_with("citizenk_") || line.starts_with("# "), "{}", line);
        }
    }
}
