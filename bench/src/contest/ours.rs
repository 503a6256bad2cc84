//! The same work as a citizenk app, written as a user writes it.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;

use citizenk::__private as p;
use citizenk::prelude::*;

use super::{PER_ORDER, Run};
use crate::counts::Counts;
use crate::reading::{Converted, Reading};
use crate::settings::WINDOW;

pub(crate) const READINGS: Topic<Reading, u32> = Topic::json("readings");
const CONVERTED: Topic<Converted, u32> = Topic::json("converted");
/// An order is the number of the first record to send.
const ORDERS: Topic<u64> = Topic::json("orders");

/// How the producing hooks know their work.
#[derive(Clone, Copy)]
struct Plan {
    records: u64,
    bytes: usize,
}

pub(crate) fn counting() -> p::ComponentDef {
    let builder = p::agent::<Event<Reading>>("count", p::Origin::default())
        .topic(&READINGS)
        .requires::<State<Counts>>();
    p::handle::<Event<Reading>, _, _, _, _>(
        builder,
        |cx| <State<Counts> as p::Extract<p::SingleEvent>>::prepare(cx),
        |prepared, call, event| {
            let State(counts) = <State<Counts> as p::Extract<p::SingleEvent>>::extract(prepared, call)?;
            Ok(async move {
                black_box(&event.value);
                counts.count();
                p::outcome::<p::SingleEvent, _>(())
            })
        },
    )
    .into()
}

fn converting() -> p::ComponentDef {
    let builder = p::agent::<Event<Reading>>("convert", p::Origin::default())
        .topic(&READINGS)
        .output(&CONVERTED)
        .requires::<State<Counts>>();
    p::handle::<Event<Reading>, _, _, _, _>(
        builder,
        |cx| <State<Counts> as p::Extract<p::SingleEvent>>::prepare(cx),
        |prepared, call, event| {
            let State(counts) = <State<Counts> as p::Extract<p::SingleEvent>>::extract(prepared, call)?;
            let reply = p::reply(call);
            Ok(async move {
                let converted = Converted::from(event.value);
                counts.count();
                reply.send(&CONVERTED, converted)
            })
        },
    )
    .into()
}

fn ordering() -> p::ComponentDef {
    type Mode = p::SingleEvent;
    let builder = p::agent::<Event<u64>>("send", p::Origin::default())
        .topic(&ORDERS)
        .sends(&READINGS)
        .requires::<State<Counts>>()
        .requires::<State<Plan>>()
        .requires::<Outbox>();
    p::handle::<Event<u64>, _, _, _, _>(
        builder,
        |cx| {
            Ok((
                <State<Counts> as p::Extract<Mode>>::prepare(cx)?,
                <State<Plan> as p::Extract<Mode>>::prepare(cx)?,
                <Outbox as p::Extract<Mode>>::prepare(cx)?,
            ))
        },
        |prepared, call, order| {
            let State(counts) = <State<Counts> as p::Extract<Mode>>::extract(&prepared.0, call)?;
            let State(plan) = <State<Plan> as p::Extract<Mode>>::extract(&prepared.1, call)?;
            let out = <Outbox as p::Extract<Mode>>::extract(&prepared.2, call)?;
            Ok(async move { p::outcome::<Mode, _>(send(order.value, plan, &counts, &out)) })
        },
    )
    .into()
}

fn send(first: u64, plan: Plan, counts: &Counts, out: &Outbox) -> citizenk::Result<()> {
    for sequence in first..(first + PER_ORDER).min(plan.records) {
        let reading = Reading::nth(sequence, plan.bytes);
        out.send(&READINGS, &reading.sensor.clone(), reading)?;
        counts.count();
    }
    Ok(())
}

fn producing() -> p::ComponentDef {
    type Mode = p::Hook;
    let builder = p::hook::<Mode>("produce", p::Origin::default(), p::HookEvent::Startup)
        .requires::<State<Counts>>()
        .requires::<State<Plan>>()
        .requires::<Producer>();
    p::hook_handle(
        builder,
        |cx| {
            Ok((
                <State<Counts> as p::Extract<Mode>>::prepare(cx)?,
                <State<Plan> as p::Extract<Mode>>::prepare(cx)?,
                <Producer as p::Extract<Mode>>::prepare(cx)?,
            ))
        },
        |prepared, call| {
            let State(counts) = <State<Counts> as p::Extract<Mode>>::extract(&prepared.0, call)?;
            let State(plan) = <State<Plan> as p::Extract<Mode>>::extract(&prepared.1, call)?;
            let producer = <Producer as p::Extract<Mode>>::extract(&prepared.2, call)?;
            Ok(async move { p::task_outcome(produce_all(producer, counts, plan).await) })
        },
    )
    .into()
}

/// Starts all sends and awaits them in order, some thousands later.
async fn produce_all(producer: Producer, counts: Counts, plan: Plan) -> citizenk::Result<()> {
    let mut pending = VecDeque::with_capacity(WINDOW);
    for sequence in 0..plan.records {
        let reading = Reading::nth(sequence, plan.bytes);
        if pending.len() == WINDOW
            && let Some(oldest) = pending.pop_front()
        {
            sent(oldest).await?;
        }
        pending.push_back(producer.send(&READINGS, &reading.sensor.clone(), reading));
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
fn run_app(app: App, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = app.build().await?;
        service.run_until(counts.done()).await?;
        Ok(())
    })
}

fn plan(run: &Run) -> Plan {
    Plan { records: run.records, bytes: run.bytes }
}

pub(super) fn consume(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let app = App::new(&run.group).state(counts.clone()).component(counting());
    run_app(app, counts)
}

pub(super) fn transform(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let app = App::new(&run.group).state(counts.clone()).component(converting());
    run_app(app, counts)
}

pub(super) fn produce(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let app = App::new(&run.group)
        .topic(&READINGS)
        .state(counts.clone())
        .state(plan(run))
        .component(producing());
    run_app(app, counts)
}

pub(super) fn outbox(run: &Run, counts: &Counts) -> Result<(), Box<dyn Error>> {
    let app = App::new(&run.group).state(counts.clone()).state(plan(run)).component(ordering());
    run_app(app, counts)
}
