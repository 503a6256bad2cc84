//! The same work as a citizenk app, written as a user writes it.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;

use citizenk::prelude::*;
use citizenk::{Agent, Guarantee, RawRecords};

use super::{PER_ORDER, Run};
use crate::counts::Counts;
use crate::reading::{Converted, Reading};
use crate::settings::WINDOW;

pub(crate) const READINGS: Topic<Reading, u32> = Topic::json("readings");
const CONVERTED: Topic<Converted, u32> = Topic::json("converted");
/// An order is the number of the first record to send.
const ORDERS: Topic<u64> = Topic::json("orders");

/// What those that produce have to do.
#[derive(Clone, Copy)]
struct Plan {
    records: u64,
    bytes: usize,
}

#[citizenk::agent(topics = [READINGS])]
pub(crate) async fn count(reading: Event<Reading>, State(counts): State<Counts>) {
    black_box(&reading.value);
    counts.count();
}

#[citizenk::agent(topics = [READINGS], output = CONVERTED)]
async fn convert(reading: Event<Reading>, State(counts): State<Counts>) -> Converted {
    counts.count();
    Converted::from(reading.value)
}

#[citizenk::agent(topics = [READINGS], batch_size = 1000, batch_timeout = "10ms")]
async fn count_batch(readings: Batch<Reading>, State(counts): State<Counts>) {
    for reading in &readings {
        black_box(reading);
        counts.count();
    }
}

#[citizenk::agent(topics = [READINGS], output = CONVERTED, batch_size = 1000, batch_timeout = "10ms")]
async fn convert_batch(
    readings: Batch<Reading>,
    State(counts): State<Counts>,
) -> Vec<(u32, Converted)> {
    let convert = |reading: Reading| {
        counts.count();
        (reading.sensor, Converted::from(reading))
    };
    readings.into_iter().map(convert).collect()
}

#[citizenk::agent(topics = [ORDERS], sends = [READINGS])]
async fn send_ordered(
    order: Event<u64>,
    State(counts): State<Counts>,
    State(plan): State<Plan>,
    out: Outbox,
) -> citizenk::Result<()> {
    let first = order.value;
    for sequence in first..(first + PER_ORDER).min(plan.records) {
        let reading = Reading::nth(sequence, plan.bytes);
        let sensor = reading.sensor;
        out.send(&READINGS, &sensor, reading)?;
        counts.count();
    }
    Ok(())
}

/// Starts all sends and awaits them in order, some thousands later.
#[citizenk::on_event(startup)]
async fn send_all(
    producer: Producer,
    State(counts): State<Counts>,
    State(plan): State<Plan>,
) -> citizenk::Result<()> {
    let mut pending = VecDeque::with_capacity(WINDOW);
    for sequence in 0..plan.records {
        if pending.len() == WINDOW
            && let Some(oldest) = pending.pop_front()
        {
            sent(oldest).await?;
        }
        let reading = Reading::nth(sequence, plan.bytes);
        let sensor = reading.sensor;
        pending.push_back(producer.send(&READINGS, &sensor, reading));
        counts.count();
    }
    for oldest in pending {
        sent(oldest).await?;
    }
    Ok(())
}

async fn sent(
    sending: impl Future<Output = Result<citizenk::Sent, citizenk::ProduceError>>,
) -> citizenk::Result<()> {
    sending.await?;
    Ok(())
}

/// Runs the app until all records are counted, then lets it stop in its own order.
pub(crate) fn run_app(app: App, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let service = app.build().await?;
        service.run_until(counts.done()).await?;
        Ok(())
    })
}

/// The app's name is its group.
fn app(run: &Run, counts: &Counts) -> App {
    App::new(&run.group).state(counts.clone())
}

fn plan(run: &Run) -> Plan {
    Plan {
        records: run.records,
        bytes: run.bytes,
    }
}

pub(super) fn consume(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    run_app(app(run, counts).register::<count>(), counts)
}

pub(super) fn transform(
    run: &Run,
    counts: &Counts,
    guarantee: Guarantee,
) -> Result<(), Box<dyn Error>> {
    let app = app(run, counts).guarantee(guarantee);
    run_app(app.register::<convert>(), counts)
}

/// An agent as a program starts it that learns its topics at run time.
pub(super) fn copy(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    const RAW: Topic<RawBytes> = Topic::raw("any");
    let target = RAW.named(&run.output);
    let counter = counts.clone();
    let agent = Agent::builder::<RawRecords>("copy")
        .raw([&run.topic])
        .sends(&target)
        .handle(move |records: RawRecords, out: Outbox| {
            let staged = out.forward(&target, records.iter());
            for _ in 0..records.len() {
                counter.count();
            }
            async move { staged }
        });
    run_app(app(run, counts).agent(agent), counts)
}

pub(super) fn consume_batch(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    run_app(app(run, counts).register::<count_batch>(), counts)
}

pub(super) fn transform_batch(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    run_app(app(run, counts).register::<convert_batch>(), counts)
}

pub(super) fn produce(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let app = app(run, counts).topic(&READINGS).state(plan(run));
    run_app(app.register::<send_all>(), counts)
}

pub(super) fn outbox(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    run_app(
        app(run, counts).state(plan(run)).register::<send_ordered>(),
        counts,
    )
}
