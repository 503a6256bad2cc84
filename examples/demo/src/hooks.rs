//! What happens when the service starts, stops and gets partitions.

use citizenk::prelude::*;

use crate::{Counts, Traffic};

/// Greets.
#[citizenk::on_event(startup)]
pub(crate) async fn started(State(traffic): State<Traffic>, app: AppInfo) {
    println!("{traffic}; set APP_RATE to change that");
    if let Some(url) = app.base_url() {
        println!("moving counters: {url}/live, as JSON {url}/counts");
    }
}

/// Says which partitions this worker got.
#[citizenk::on_event(assigned)]
pub(crate) async fn assigned(partitions: Partitions) {
    let list: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    println!("partitions of this worker: {}", list.join(", "));
}

/// Says goodbye.
#[citizenk::on_event(shutdown)]
pub(crate) async fn stopped(State(counts): State<Counts>) {
    let counts = counts.snapshot();
    println!(
        "stopped after {} videos, {} of them valid",
        counts.processed, counts.valid
    );
}
