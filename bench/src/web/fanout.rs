//! Values to many websocket clients: what a client costs, how many values a second of CPU time delivers, and
//! whether one that takes nothing holds up others.

use std::fs;
use std::time::{Duration, Instant};

use super::bed::{Bed, Plan, Service, Writer};
use super::clients::{Connected, Received};
use super::process::{Process, rest};
use super::service::Tick;
use super::{Goal, Options, PATIENCE, Result, Table, allowed, median};
use crate::stats::ratio;

/// Values a second to many clients, and to fewer.
const SLOWLY: u32 = 10;
const QUICKLY: u32 = 100;
/// Until all clients are connected, and have got a first value.
const CONNECTS: Duration = Duration::from_secs(120);
/// Between two ticks that do not count.
const WARMS: Duration = Duration::from_millis(100);
/// Until what came before has been done.
const SETTLES: Duration = Duration::from_secs(1);
/// Values that fill a stalled client's buffers: their size, and how many are written between two looks.
const LARGE: usize = 16 * 1024;
const LARGE_ONES: u32 = 10;
const FILLS: Duration = Duration::from_secs(40);

struct Crowd {
    clients: usize,
    rate: u32,
    /// One more that takes nothing.
    stalled: bool,
    seconds: u64,
    /// How long they get nothing before.
    idle: Duration,
}

impl Crowd {
    /// That are written.
    fn values(&self) -> u64 {
        u64::from(self.rate) * self.seconds
    }
}

/// What one round gave.
struct Given {
    /// Of the service, per client: when all were connected and idle.
    kib: f64,
    /// Percent of a processor, while they were idle.
    idle: f64,
    received: Received,
    /// Deliveries that there were to be.
    wanted: u64,
    per_cpu_second: f64,
}

impl Given {
    /// Deliveries that did not come, or came after a later one.
    fn missing(&self) -> u64 {
        let in_order = self.received.deliveries - self.received.disordered;
        self.wanted.saturating_sub(in_order)
    }
}

/// One round: clients that get nothing for a while, then values at the rate.
fn hold(crowd: &Crowd, bed: &mut Bed) -> Result<Given> {
    let plan = Plan {
        connections: Some(crowd.clients + 64),
        readings: None,
    };
    let service = bed.service(&plan)?;
    let writer = Writer::new(bed, &service)?;
    // What the first client costs is not what each costs.
    let one = Crowd {
        clients: 1,
        stalled: false,
        ..*crowd
    };
    let (first, _) = connect(&service, &one)?;
    warm(&writer, &first)?;
    first.end()?;
    rest(SETTLES);
    let empty = service.resident_kib()?;

    let (mut clients, stalled) = connect(&service, crowd)?;
    rest(SETTLES);
    let (begun, before) = (Instant::now(), service.cpu()?);
    rest(crowd.idle);
    let idle = 100.0 * (service.cpu()? - before) / begun.elapsed().as_secs_f64();
    let kib = service.resident_kib()?.saturating_sub(empty) as f64 / crowd.clients.max(1) as f64;

    warm(&writer, &clients)?;
    for port in &stalled {
        fill(&writer, service.port, *port)?;
    }
    rest(SETTLES);
    let before = service.cpu()?;
    let values = crowd.values();
    writer.write_all(crowd.rate, values)?;
    let received = match clients.heard::<Received>(PATIENCE)? {
        Some(received) => received,
        // Not all have got the last value.
        None => clients.last_word()?,
    };
    let cpu = service.cpu()? - before;
    for port in &stalled {
        waiting(service.port, *port)?;
    }
    clients.end()?;
    service.process.end()?;
    Ok(Given {
        kib,
        idle,
        wanted: values * crowd.clients as u64,
        per_cpu_second: ratio(received.deliveries as f64, cpu),
        received,
    })
}

/// Clients that are connected, and the ports of those that take nothing.
fn connect(service: &Service, crowd: &Crowd) -> Result<(Process, Vec<u16>)> {
    let arguments = [
        ("--port", service.port.to_string()),
        ("--clients", crowd.clients.to_string()),
        ("--values", crowd.values().to_string()),
        ("--stalled", usize::from(crowd.stalled).to_string()),
    ];
    let clients = Process::start("clients", &arguments, &[])?;
    let Connected { stalled } = clients.hear(CONNECTS)?;
    Ok((clients, stalled))
}

/// Writes ticks that do not count until every client has got one: the agent reads from when it has its
/// partition, and nobody says when that was.
fn warm(writer: &Writer, clients: &Process) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < CONNECTS {
        writer.write(&Tick::new(0, false, 0))?;
        if clients.heard::<bool>(WARMS)?.is_some() {
            return Ok(());
        }
    }
    Err("the clients get nothing".into())
}

/// Writes large ticks that do not count until what the kernel keeps for the client of this port no longer
/// grows: the service waits for it then.
fn fill(writer: &Writer, server: u16, client: u16) -> Result<()> {
    let (begun, mut before) = (Instant::now(), None);
    while begun.elapsed() < FILLS {
        for _ in 0..LARGE_ONES {
            writer.write(&Tick::new(0, false, LARGE))?;
            rest(WARMS / LARGE_ONES * 2);
        }
        let now = waiting(server, client)?;
        if before == Some(now) && now > 0 {
            return Ok(());
        }
        before = Some(now);
    }
    Err(format!("the stalled client takes all there is: {before:?} bytes wait for it").into())
}

/// Bytes that wait for a stalled client, which must be connected.
fn waiting(server: u16, client: u16) -> Result<u64> {
    let table = fs::read_to_string("/proc/net/tcp")?;
    queued(&table, server, client).ok_or_else(|| "the stalled client was disconnected".into())
}

/// Bytes that were written to a connection and not acknowledged by its other end, from the kernel's table.
fn queued(table: &str, local: u16, remote: u16) -> Option<u64> {
    table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let mut port = || {
            let (_, port) = fields.next()?.split_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        if (port()?, port()?) != (local, remote) {
            return None;
        }
        let (queued, _) = fields.nth(1)?.split_once(':')?;
        u64::from_str_radix(queued, 16).ok()
    })
}

fn figures(rounds: &[Given], of: impl Fn(&Given) -> f64) -> Vec<f64> {
    rounds.iter().map(of).collect()
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// Two lines: whether all came, in order, and what they cost.
fn deliveries(crowd: &Crowd, names: [&str; 2], rounds: &[Given], table: &mut Table) -> Result<()> {
    let what = format!(
        "{} values a second to {} clients",
        crowd.rate, crowd.clients
    );
    table.line(
        &format!("{what}, share that came in order"),
        names[0],
        Goal::AtLeast(1.0, ""),
        &figures(rounds, |given| {
            let received = &given.received;
            ratio(
                (received.deliveries - received.disordered) as f64,
                given.wanted as f64,
            )
        }),
        &arrival(rounds),
    )?;
    table.line(
        &format!("{what}, deliveries per CPU second"),
        names[1],
        Goal::Reported,
        &figures(rounds, |given| given.per_cpu_second),
        "",
    )
}

/// What stands beside deliveries: what went wrong, and when they came.
fn arrival(rounds: &[Given]) -> String {
    let sum = |of: fn(&Received) -> u64| rounds.iter().map(|g| of(&g.received)).sum::<u64>();
    let wanted: u64 = rounds.iter().map(|given| given.wanted).sum();
    format!(
        "; {} of {wanted} did not come, {} out of order, {} clients lost; after {:.0} ms (p50), {:.0} ms (p99)",
        rounds.iter().map(Given::missing).sum::<u64>(),
        sum(|received| received.disordered),
        sum(|received| received.lost as u64),
        median(&figures(rounds, |given| ms(given.received.p50))),
        median(&figures(rounds, |given| ms(given.received.p99))),
    )
}

fn held(crowd: &Crowd, options: &Options, bed: &mut Bed, table: &mut Table) -> Result<Vec<Given>> {
    table.next_row();
    let mut rounds = Vec::new();
    for _ in 0..options.rounds.max(1) {
        table.note_load();
        rounds.push(hold(crowd, bed)?);
    }
    Ok(rounds)
}

pub(super) fn many(options: &Options, bed: &mut Bed, table: &mut Table) -> Result<()> {
    let crowd = Crowd {
        clients: allowed(options.clients)?,
        rate: SLOWLY,
        stalled: false,
        seconds: options.seconds,
        idle: options.length(),
    };
    let rounds = held(&crowd, options, bed, table)?;
    table.line(
        &format!(
            "memory per idle websocket client, {} of them, KiB",
            crowd.clients
        ),
        "idle_kib",
        Goal::AtMost(32.0, " KiB"),
        &figures(&rounds, |given| given.kib),
        &format!(
            "; {:.1} % of a processor",
            median(&figures(&rounds, |given| given.idle))
        ),
    )?;
    deliveries(&crowd, ["many_in_order", "many_per_cpu_s"], &rounds, table)
}

pub(super) fn few(options: &Options, bed: &mut Bed, table: &mut Table) -> Result<()> {
    let crowd = Crowd {
        clients: allowed(options.few_clients)?,
        rate: QUICKLY,
        stalled: false,
        seconds: options.seconds,
        idle: Duration::ZERO,
    };
    let rounds = held(&crowd, options, bed, table)?;
    deliveries(&crowd, ["few_in_order", "few_per_cpu_s"], &rounds, table)
}

pub(super) fn stalled(options: &Options, bed: &mut Bed, table: &mut Table) -> Result<()> {
    table.next_row();
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..options.rounds.max(1) {
        for turn in 0..2 {
            // Each round another begins.
            let which = (round + turn) % 2;
            table.note_load();
            let crowd = Crowd {
                clients: allowed(options.neighbours)?,
                rate: QUICKLY,
                stalled: which == 1,
                seconds: options.seconds,
                idle: Duration::ZERO,
            };
            rounds[which].push(hold(&crowd, bed)?);
        }
    }
    if let Some(bad) = rounds[0].iter().find(|given| given.missing() > 0) {
        // Its p99 would flatter the other's.
        let (missing, wanted) = (bad.missing(), bad.wanted);
        return Err(
            format!("{missing} of {wanted} values did not come with no client stalled").into(),
        );
    }
    let [without, with] = rounds.map(|rounds| (figures(&rounds, |g| ms(g.received.p99)), rounds));
    let added: Vec<f64> = with.0.iter().zip(&without.0).map(|(b, a)| b - a).collect();
    table.line(
        &format!(
            "p99 of {} clients that one more that takes nothing adds, ms",
            options.neighbours
        ),
        "stalled_added_p99_ms",
        Goal::AtMost(5.0, " ms"),
        &added,
        &format!(
            "; without it {:.1} ms{}",
            median(&without.0),
            arrival(&with.1)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_client_stands_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n   \
             1: 0100007F:1F90 0100007F:C350 01 00012A00:00000000 04:00000021 00000000\n   \
             2: 0100007F:C350 0100007F:1F90 01 00000000:00001000 00:00000000 00000000\n";
        assert_eq!(queued(table, 8080, 50_000), Some(0x12a00));
        assert_eq!(queued(table, 50_000, 8080), Some(0));
        assert_eq!(queued(table, 8080, 50_001), None);
    }
}
