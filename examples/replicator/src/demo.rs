//! A demonstration that needs nothing: two embedded clusters, mappings of every kind, a generator, and what
//! arrives is printed.

use std::path::Path;
use std::time::Duration;

use citizenk::admin::NewTopic;
use citizenk::prelude::*;
use replicator_domain::env::{Vars, translate};
use serde_json::json;

use crate::bytes::KeyBytes;
use crate::engine::Engine;
use crate::engine::run::RAW;

/// Without any of these variables there is nothing to replicate.
const OWN: [&str; 4] = [
    "KAFKA_SOURCE_SERVER_URL",
    "KAFKA_TARGET_SERVER_URL",
    "FILE_DATA_PATH",
    "MAPPINGS_PATH",
];

const FILES: [(&str, &str); 4] = [
    ("mappings.json", include_str!("../demo/mappings.json")),
    ("morning.json", include_str!("../demo/morning.json")),
    (
        "templates/staging.json",
        include_str!("../demo/templates/staging.json"),
    ),
    (
        "topic_mappings/customers.json",
        include_str!("../demo/topic_mappings/customers.json"),
    ),
];

pub(crate) fn is_wanted(vars: &Vars) -> bool {
    let given = |name: &str| vars.get(name).is_some_and(|value| !value.trim().is_empty());
    !OWN.into_iter().any(given)
}

fn write(folder: &Path) -> std::io::Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

pub(crate) fn run(mut variables: Vars) -> citizenk::Exit {
    let folder = std::env::temp_dir().join(format!("replicator-demo-{}", std::process::id()));
    let quick = [
        ("FILE_DATA_PATH", folder.to_string_lossy().into_owned()),
        ("READ_MAPPINGS_EVERY_SECONDS", "1".to_owned()),
    ];
    variables.extend(quick.map(|(name, value)| (name.to_owned(), value)));
    variables
        .entry("CACULATE_STATS_EVERY_SECONDS".to_owned())
        .or_insert_with(|| "1".to_owned());
    let translated = translate(&variables).map_err(|errors| errors.join("; "));
    let written = write(&folder).map_err(|error| format!("{}: {error}", folder.display()));
    let (mut options, variables) =
        match translated.and_then(|translated| written.map(|()| translated)) {
            Ok(translated) => translated,
            Err(error) => {
                eprintln!("error: {error}");
                return citizenk::Exit::USAGE;
            }
        };
    (options.has_source, options.has_target) = (true, true);
    println!(
        "a demonstration on two embedded clusters; its files are in {}",
        folder.display()
    );
    let app = crate::app(options)
        .embedded_by_default()
        .environment(variables)
        .register::<play>();
    let exit = citizenk::run(app);
    // What is left of a demonstration is of no use.
    let _ = std::fs::remove_dir_all(&folder);
    exit
}

#[citizenk::on_event(startup)]
async fn play(
    State(engine): State<Engine>,
    admin: Admin,
    producer: Producer,
    background: Background,
) -> citizenk::Result<()> {
    for (cluster, topics) in [
        ("source", &["orders", "customers"][..]),
        (
            "target",
            &["orders", "italy", "tenth", "customers", "morning"],
        ),
    ] {
        let admin = admin.on(cluster)?;
        for topic in topics {
            admin
                .create_topic(NewTopic::new(*topic).partitions(3))
                .await?;
        }
    }
    background.spawn("generator", generate(producer, background.shutdown()));
    background.spawn("report", report(engine, background.shutdown()));
    Ok(())
}

/// Waits; whether the service ends meanwhile.
async fn is_over(shutdown: &Shutdown, wait: Duration) -> bool {
    tokio::time::timeout(wait, shutdown.wait()).await.is_ok()
}

const COUNTRIES: [&str; 4] = ["IT", "DE", "FR", "ES"];

async fn generate(producer: Producer, shutdown: Shutdown) -> citizenk::Result<()> {
    let (orders, customers) = (RAW.named("source/orders"), RAW.named("source/customers"));
    for n in 0_u64.. {
        let order =
            json!({ "id": n, "country": COUNTRIES[(n % 4) as usize], "amount": n * 37 % 200 });
        let customer =
            json!({ "id": n % 4, "plan": if n.is_multiple_of(2) { "gold" } else { "free" } });
        let bytes = |value: &serde_json::Value| RawBytes(value.to_string().into_bytes());
        let key = |n: u64| KeyBytes(n.to_string().into_bytes());
        let first = producer.send(&orders, &key(n), bytes(&order));
        if n.is_multiple_of(10) {
            producer
                .send(&customers, &key(n / 10 % 4), bytes(&customer))
                .await?;
        }
        first.await?;
        if is_over(&shutdown, Duration::from_millis(20)).await {
            break;
        }
    }
    Ok(())
}

async fn report(engine: Engine, shutdown: Shutdown) -> citizenk::Result<()> {
    while !is_over(&shutdown, Duration::from_secs(3)).await {
        let stats = engine.stats(true);
        println!("\n{}  queue {}", stats.time, stats.queue);
        println!(
            "{:36} {:12} {:>7} {:>7} {:>8} {:>7} {:>5} {:>6}/s",
            "mapping", "state", "read", "copied", "filtered", "dropped", "lag", "rate"
        );
        for row in &stats.mappings {
            println!(
                "{:36} {:12} {:>7} {:>7} {:>8} {:>7} {:>5} {:>6.1}/s",
                row.name,
                row.state,
                row.source_count,
                row.target_count,
                row.filtered_count,
                row.dropped_count,
                row.lag,
                row.rate_out
            );
        }
    }
    Ok(())
}
