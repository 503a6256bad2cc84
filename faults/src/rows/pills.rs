//! Records that cannot be decoded, and dead letters that cannot be written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use xtask::failure::Result;

use super::{PATIENCE, RECOVERED, Row, STARTED, flow, recovered, steady};
use crate::checker::Rules;
use crate::history::Place;
use crate::pills::{Pill, Pills, poison};
use crate::trial::Trial;
use crate::worker::{LETTERS, Plan};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "D1",
        what: "records nobody can decode, at random offsets, while workers are killed",
        target: "at least one dead letter for each, as it came; all others handled, no panic",
        quick: true,
        limit: 120,
        run: |trial| d1(trial, &Plan::default(), Rules::AT_LEAST_ONCE),
    },
    Row {
        name: "D1e",
        what: "as D1, exactly once",
        target: "exactly one dead letter for each, as it came; the outputs of the others exact",
        quick: true,
        limit: 120,
        run: |trial| {
            let plan = Plan::default().with("--guarantee", "exactly-once");
            d1(trial, &plan, Rules::EXACTLY_ONCE)
        },
    },
    Row {
        name: "D2",
        what: "the topic of the dead letters is deleted, and made again",
        target: "nothing behind a letter is committed, other partitions go on, the stall is reported; all letters there within 16 s after it is made again",
        quick: false,
        limit: 150,
        run: d2,
    },
];

fn plan(of: &Plan) -> Plan {
    of.clone().flag(LETTERS)
}

fn make_letters_topic(trial: &Trial<'_>) -> Result<()> {
    trial
        .cluster
        .create_topic(&trial.letters.topic, trial.partitions, &[])
}

fn d1(trial: &mut Trial<'_>, of: &Plan, rules: Rules) -> Result<()> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(100);
    let plan = plan(of);
    make_letters_topic(trial)?;
    steady(trial, 2, &plan)?;
    let mut pills = Pills::start(&trial.input)?;
    let count = trial.rounds(60, 600);
    for number in 0..count {
        let pause = trial.dice.between(Duration::ZERO, LONGEST_PAUSE);
        trial.hold(pause)?;
        let partition = trial
            .dice
            .below(usize::try_from(trial.partitions).unwrap_or(1));
        let payload = poison(&mut trial.dice);
        pills.send(i32::try_from(partition).unwrap_or(0), payload.as_deref())?;
        if number % (count / 3) == count / 6 {
            let living: Vec<usize> = (0..trial.workers.len())
                .filter(|number| trial.workers[*number].is_alive())
                .collect();
            let victim = living[trial.dice.below(living.len())];
            trial.kill(victim)?;
            trial.worker(&plan)?;
        }
    }
    let pills = pills.all()?;
    trial.pills = pills.iter().map(|pill| pill.place).collect();
    // The last record of every partition is one of the load.
    let enough = trial.acknowledged() + 400;
    trial.until("records are sent", PATIENCE, |trial| {
        Ok(trial.acknowledged() > enough)
    })?;
    trial.assigned(STARTED)?;
    trial.finish(PATIENCE, rules)?;
    letters_of(trial, &pills, rules.exactly_once)?;
    for number in 0..trial.workers.len() {
        let panicked = trial.workers[number].log().contains("panicked");
        trial.expect(!panicked, || format!("worker {number} panicked"));
    }
    Ok(())
}

/// Every pill has its letter, and nothing else has one.
fn letters_of(trial: &mut Trial<'_>, pills: &[Pill], exactly: bool) -> Result<()> {
    let letters = trial.letters.letters()?;
    let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for letter in &letters {
        let place = letter.place();
        let pill = pills.iter().find(|pill| Some(pill.place) == place);
        let Some(pill) = pill.filter(|pill| pill.payload.is_some()) else {
            wrong.push(format!("a letter of {place:?}, where no pill stands"));
            continue;
        };
        *counts.entry(pill.place).or_default() += 1;
        let time = pill.time.to_string();
        let same = letter.payload == pill.payload
            && letter.key.as_deref() == Some(Pill::key())
            && letter.fact("timestamp") == time
            && letter.fact("topic") == trial.input.topic
            && letter.fact("stage") == "decode"
            && !letter.fact("reason").is_empty();
        if !same {
            wrong.push(format!(
                "the letter of {place:?} is not as it came: {:?}",
                letter.facts
            ));
        }
    }
    let bad: Vec<&Pill> = pills.iter().filter(|pill| pill.payload.is_some()).collect();
    let lost = bad.iter().filter(|pill| !counts.contains_key(&pill.place));
    if let (Some(first), count) = (lost.clone().next(), lost.count()) {
        wrong.push(format!(
            "{count} pills have no letter, such as {:?}",
            first.place
        ));
    }
    let twice = counts.values().filter(|count| **count > 1).count();
    if exactly && twice > 0 {
        wrong.push(format!("{twice} pills have more than one letter"));
    }
    trial.figure(format!(
        "{} pills, {} letters, {} tombstones passed over",
        bad.len(),
        letters.len(),
        pills.len() - bad.len()
    ));
    wrong.truncate(5);
    wrong.into_iter().for_each(|text| trial.miss(text));
    Ok(())
}

fn d2(trial: &mut Trial<'_>) -> Result<()> {
    /// How long the service waits before it says that something stands still.
    const STALL: Duration = Duration::from_secs(10);
    /// Partitions with a pill; the others go on.
    const HELD: i32 = 2;
    let plan = plan(&Plan::default()).with("--stall-after", "10s");
    make_letters_topic(trial)?;
    steady(trial, 1, &plan)?;
    let letters = trial.letters.topic.clone();
    trial.cluster.delete_topic(&letters)?;
    let mut pills = Pills::start(&trial.input)?;
    for partition in 0..HELD {
        pills.send(partition, Some(b"no item"))?;
    }
    let sent = pills.all()?;
    trial.pills = sent.iter().map(|pill| pill.place).collect();
    let begun = Instant::now();
    trial.until("the failure is logged", PATIENCE, |trial| {
        Ok(trial.workers[0]
            .log()
            .contains("outputs were not delivered"))
    })?;
    trial.figure(format!("logged {:.1} s", begun.elapsed().as_secs_f64()));
    trial.until("readiness says it", PATIENCE, |trial| {
        let (status, body) = trial.workers[0].get("/health/ready")?;
        Ok(status == 503 && body.contains("outputs are not acknowledged"))
    })?;
    trial.target(
        "not ready",
        begun.elapsed(),
        2 * STALL + Duration::from_secs(5),
    );
    let failed = trial.workers[0].metric("citizenk_errors_total")?;
    trial.figure(format!("{failed} errors counted"));
    trial.expect(failed > 0.0, || "no error is counted".into());
    // The others go on, the letters' partitions do not.
    let others: Vec<_> = trial
        .sent()
        .into_iter()
        .filter(|input| input.place.partition >= HELD)
        .collect();
    trial.until("other partitions go on", PATIENCE, |trial| {
        Ok(trial.missing(&others)?.is_empty())
    })?;
    let committed = trial.committed()?;
    for pill in &sent {
        let next = committed.get(&pill.place.partition).copied().unwrap_or(0);
        trial.expect(next <= pill.place.offset, || {
            format!("{next} is committed, past the letter of {:?}", pill.place)
        });
    }
    make_letters_topic(trial)?;
    let made = Instant::now();
    trial.until("the letters are written", 2 * PATIENCE, |trial| {
        Ok(trial.letters.letters()?.len() >= sent.len())
    })?;
    trial.target("letters", made.elapsed(), RECOVERED);
    recovered(trial, RECOVERED)?;
    flow(trial)?;
    // The client's idempotent producer writes again what was under way when another topic's records timed out.
    trial.finish(PATIENCE, Rules::AT_LEAST_ONCE)?;
    letters_of(trial, &sent, true)
}
