//! What many mappings cost that have nothing to do, and how soon a change of one is done.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Result;
use super::service::{LOOK, Service};
use crate::cluster::Cluster;
use crate::usage;

/// Until what the start left to do is done.
const SETTLES: Duration = Duration::from_secs(12);
const CHANGES: usize = 6;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn measure(
    cluster: &mut Cluster,
    binary: &Path,
    mappings: usize,
    lasts: Duration,
) -> Result<()> {
    let turn = format!("replicate-{}-idle", std::process::id());
    let output = format!("{turn}-out");
    let topics: Vec<String> = (0..mappings)
        .map(|number| format!("{turn}-{number}"))
        .collect();
    let mut made: Vec<&str> = topics.iter().map(String::as_str).collect();
    made.push(&output);
    cluster.create_all(&made, 1)?;
    let mapping = |(number, topic)| {
        json!({
            "name": format!("m{number}"), "source_topic_name": topic, "target_topic_name": output,
        })
    };
    let all: Vec<_> = topics.iter().enumerate().map(mapping).collect();
    let servers = cluster.servers().to_owned();
    let mut service = Service::with(binary, &servers, &turn, &all, &[])?;
    thread::park_timeout(SETTLES);
    let (begun, before) = (Instant::now(), service.cpu()?);
    thread::park_timeout(lasts);
    let share = 100.0 * (service.cpu()? - before) / begun.elapsed().as_secs_f64();
    let mut took = Vec::new();
    for number in 0..CHANGES {
        let (verb, rows) = if number % 2 == 0 {
            ("disable", mappings - 1)
        } else {
            ("enable", mappings)
        };
        let begun = Instant::now();
        service.ask("POST", &format!("/api/mappings/m0/{verb}"))?;
        service.until("the change is done", PATIENCE, LOOK, |now| {
            now.len() == rows
        })?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    println!(
        "\n{mappings} idle mappings (load {:.1}): {share:.2} % of a core over {} s, goal 1 %; a mapping is switched after {} ms (the longest of {CHANGES}: {} ms), goal 200 ms\n",
        usage::load().unwrap_or_default(),
        lasts.as_secs(),
        took[took.len() / 2].as_millis(),
        took[took.len() - 1].as_millis(),
    );
    service.stop()?;
    cluster.delete_all(&made)
}
