//! Requests: healthy ones beside slow ones, routed ones beside direct ones, and so many that a consumer feels
//! them.

use std::time::{Duration, Instant};

use super::bed::{Bed, Plan, Service};
use super::load::{Crawled, Flooded, Times};
use super::process::{Process, ask, free_port, rest};
use super::service::{CONSUMES, Consumed, GO, HELLO, Owner, visit};
use super::{Goal, Options, Result, Table, median};
use crate::stats::ratio;

/// Until a part has begun, and until its last answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Keys that are tried until one of each worker is found.
const KEYS: u32 = 64;
/// Times as many rounds of the flood as of the others: each is short, and six threads and more share what
/// processors there are.
const FLOODS: usize = 3;
/// Between two looks at who has what.
const LOOK: Duration = Duration::from_millis(200);

fn start(part: &'static str, arguments: &[(&str, String)]) -> Result<Process> {
    Process::start(part, arguments, &[])
}

/// Healthy requests for a while.
fn probe(options: &Options, service: &Service) -> Result<Times> {
    let arguments = [
        ("--port", service.port.to_string()),
        ("--path", HELLO.to_owned()),
        ("--seconds", options.seconds.to_string()),
    ];
    let probe = start("probe", &arguments)?;
    let times = probe.hear(options.length() + PATIENCE)?;
    probe.end()?;
    Ok(times)
}

pub(super) fn slowloris(options: &Options, bed: &mut Bed, table: &mut Table) -> Result<()> {
    table.next_row();
    super::allowed(options.slow as usize)?;
    let (mut times, mut baselines, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let (mut failed, mut asked, mut crawled) = (0, 0, Crawled::default());
    for _ in 0..options.rounds.max(1) {
        table.note_load();
        // With the limits that every service has.
        let service = bed.service(&Plan::default())?;
        let baseline = probe(options, &service)?;
        if baseline.failed > 0 {
            // Its p99 would flatter the other's.
            return Err(format!(
                "{} requests failed beside no slow connection",
                baseline.failed
            )
            .into());
        }
        let arguments = [
            ("--port", service.port.to_string()),
            ("--connections", options.slow.to_string()),
        ];
        let mut slow = start("slow", &arguments)?;
        slow.hear::<Crawled>(PATIENCE)?;
        let healthy = probe(options, &service)?;
        crawled = slow.last_word()?;
        slow.end()?;
        service.process.end()?;
        failed += healthy.failed;
        asked += healthy.failed + healthy.answered;
        all.push(ratio(healthy.p99 as f64, baseline.p99 as f64));
        times.push(healthy.p99 as f64 / 1000.0);
        baselines.push(baseline.p99 as f64 / 1000.0);
    }
    table.line(
        &format!(
            "p99 beside {} slow connections ÷ p99 without",
            options.slow
        ),
        "slowloris_p99_ratio",
        Goal::AtMost(2.0, ""),
        &all,
        &format!(
            "; {:.2} and {:.2} ms; {failed} of {asked} requests failed; {} at least were open, {} were cut off",
            median(&times),
            median(&baselines),
            crawled.open,
            crawled.cut,
        ),
    )
}

/// A key of the second worker, when both have some and agree.
fn key_of_second(workers: &[Service]) -> Result<u32> {
    let [first, second] = workers else {
        return Err("a route is measured between two workers".into());
    };
    let owner = |port, key| match ask(port, "GET", &visit(key), PATIENCE) {
        Ok((200, body)) => serde_json::from_str(&body)
            .ok()
            .map(|owner: Owner| owner.process),
        _ => None,
    };
    let (begun, mut seen) = (Instant::now(), Vec::new());
    while begun.elapsed() < PATIENCE {
        seen = (0..KEYS).map(|key| owner(first.port, key)).collect();
        let of = |worker: &Service| {
            let id = Some(worker.process.id());
            seen.iter().position(|owner| *owner == id)
        };
        if let (Some(_), Some(key)) = (of(first), of(second)) {
            let key = u32::try_from(key)?;
            if owner(second.port, key) == Some(second.process.id()) {
                return Ok(key);
            }
        }
        rest(LOOK);
    }
    let (first, second) = (first.process.id(), second.process.id());
    Err(format!("workers {first} and {second} do not share the keys: {seen:?}").into())
}

pub(super) fn route(options: &Options, bed: &mut Bed, table: &mut Table) -> Result<()> {
    table.next_row();
    let (mut added, mut direct, mut tail) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds.max(1) {
        table.note_load();
        let workers = bed.services(&Plan::default(), 2)?;
        let key = key_of_second(&workers)?;
        let arguments = [
            ("--first", workers[1].port.to_string()),
            ("--second", workers[0].port.to_string()),
            ("--path", visit(key)),
            ("--requests", options.requests.to_string()),
        ];
        let compare = start("compare", &arguments)?;
        let [here, there]: [Times; 2] = compare.hear(PATIENCE + 10 * options.length())?;
        compare.end()?;
        for worker in workers {
            worker.process.end()?;
        }
        let ms = |micros: u64| micros as f64 / 1000.0;
        added.push(ms(there.p50) - ms(here.p50));
        tail.push(ms(there.p99) - ms(here.p99));
        direct.push(ms(here.p50));
    }
    table.line(
        "p50 that the way to another worker adds, ms",
        "routed_added_p50_ms",
        Goal::AtMost(1.0, " ms"),
        &added,
        &format!(
            "; to the p99 {:.2} ms; direct {:.2} ms (p50)",
            median(&tail),
            median(&direct)
        ),
    )
}

/// What the generator runs against while the consumer consumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Against {
    Nothing,
    Null,
    Ours,
}

impl Against {
    const ALL: [Self; 3] = [Self::Nothing, Self::Null, Self::Ours];
}

/// A consumer's records a second, and the generator's requests a second.
fn consume(options: &Options, bed: &mut Bed, against: Against) -> Result<(f64, f64)> {
    let readings = bed.readings(options.records)?;
    let service = bed.service(&Plan {
        connections: None,
        readings: Some((readings, options.records)),
    })?;
    let mut null = None;
    let target = match against {
        Against::Nothing => None,
        Against::Null => {
            let port = free_port()?;
            let started = start("null", &[("--port", port.to_string())])?;
            started.hear::<bool>(PATIENCE)?;
            null = Some(started);
            Some(port)
        }
        Against::Ours => Some(service.port),
    };
    let flood = target.map(|port| {
        let arguments = [
            ("--port", port.to_string()),
            ("--path", HELLO.to_owned()),
            ("--connections", options.flood.to_string()),
        ];
        start("flood", &arguments)
    });
    let mut flood = flood.transpose()?;
    let begun = flood.as_ref().map(|flood| flood.hear::<Flooded>(PATIENCE));
    let begun = begun.transpose()?;
    let (status, body) = ask(service.port, "POST", GO, PATIENCE)?;
    if status != 200 {
        return Err(format!("the consumer does not start: {status} {body}").into());
    }
    let consumed: Consumed = service.process.hear(CONSUMES)?;
    let ended = flood.as_mut().map(Process::last_word::<Flooded>);
    let ended = ended.transpose()?;
    for process in flood.into_iter().chain(null) {
        process.end()?;
    }
    service.process.end()?;
    if consumed.seen != options.records {
        let (seen, records) = (consumed.seen, options.records);
        return Err(format!("{seen} of {records} records were consumed").into());
    }
    let requests = begun.zip(ended).map_or(0.0, |(begun, ended)| {
        (ended.answered - begun.answered) as f64 / (ended.wall - begun.wall)
    });
    Ok((ratio(consumed.seen as f64, consumed.wall), requests))
}

pub(super) fn flood(options: &Options, bed: &mut Bed, table: &mut Table) -> Result<()> {
    table.next_row();
    let mut rates: [Vec<f64>; 3] = Default::default();
    let mut requests: [Vec<f64>; 3] = Default::default();
    for round in 0..FLOODS * options.rounds.max(1) {
        for turn in 0..Against::ALL.len() {
            // Each round another begins.
            let which = (round + turn) % Against::ALL.len();
            table.note_load();
            let (rate, requested) = consume(options, bed, Against::ALL[which])?;
            rates[which].push(rate);
            requests[which].push(requested);
        }
    }
    let [alone, null, ours] = &rates;
    let shares: Vec<f64> = ours.iter().zip(null).map(|(a, b)| a / b).collect();
    table.line(
        &format!(
            "consumer under a flood of {} connections ÷ the same flood on a null server, records a second",
            options.flood
        ),
        "flood_ratio",
        Goal::AtLeast(0.8, ""),
        &shares,
        &format!(
            "; {:.0} and {:.0} records a second, {:.0} with no flood; {:.0} and {:.0} requests a second",
            median(ours),
            median(null),
            median(alone),
            median(&requests[Against::Ours as usize]),
            median(&requests[Against::Null as usize]),
        ),
    )
}
