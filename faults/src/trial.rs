//! One run of one row: its topics, its workers, its load, and the verdict in the end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use xtask::failure::{Failure, OrFail, Result};
use xtask::process::{self, Signal};

use crate::checker::{self, Invariant, Rules, Violation};
use crate::cluster::{Cluster, NODES};
use crate::dice::Dice;
use crate::history::{Deed, History, Input};
use crate::load::{self, Load};
use crate::observe::{self, Source, Watcher};
use crate::worker::{Place, Plan, Worker};

/// Keys of the load.
const KEYS: usize = 48;
/// How long brokers may take to be well again.
const HEALED: Duration = Duration::from_secs(60);
/// How long a transaction may stay open after its worker's end: its time-out, and the broker's look.
const OPEN: Duration = Duration::from_secs(15);
/// How much longer everything may take where times are not judged.
const SLOW: u32 = 3;
/// How many violations are printed.
const SHOWN: usize = 8;

pub(crate) struct Trial<'a> {
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) dice: Dice,
    /// Whether there is time for all rounds.
    pub(crate) long: bool,
    pub(crate) workers: Vec<Worker>,
    /// The input topic.
    pub(crate) input: Source,
    pub(crate) output: Source,
    pub(crate) letters: Source,
    /// Where records stand in the input that nobody can decode.
    pub(crate) pills: BTreeSet<crate::history::Place>,
    pub(crate) group: String,
    pub(crate) partitions: i32,
    pub(crate) folder: PathBuf,
    /// What a mistake on purpose adds to every worker.
    pub(crate) mistake: Vec<String>,
    untimed: bool,
    loads: Vec<Load>,
    watcher: Option<Watcher>,
    deadline: Instant,
    figures: Vec<String>,
    misses: Vec<String>,
    history: Option<History>,
}

/// What is needed to begin.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) row: &'static str,
    pub(crate) seed: u64,
    pub(crate) long: bool,
    pub(crate) limit: Duration,
    pub(crate) mistake: Vec<String>,
    /// The machine may be slow: times are printed, not judged, and waits are longer.
    pub(crate) untimed: bool,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(cluster: &'a mut Cluster, terms: Terms, folder: &Path) -> Result<Self> {
        let name = format!("{}-{}", terms.row.to_lowercase(), terms.seed);
        let folder = folder.join(&name);
        let doing = || format!("prepare {}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).or_fail(doing)?;
        }
        fs::create_dir_all(&folder).or_fail(doing)?;
        // Rows run again with the same seed on the same cluster.
        let unique = format!("{name}-{}", crate::journal::now());
        let source = |what: &str| Source {
            servers: cluster.servers(),
            topic: format!("{unique}-{what}"),
        };
        Ok(Self {
            dice: Dice::of(terms.seed, terms.row),
            long: terms.long,
            workers: Vec::new(),
            input: source("in"),
            output: source("out"),
            letters: source("letters"),
            pills: BTreeSet::new(),
            group: unique.clone(),
            partitions: 6,
            mistake: terms.mistake,
            loads: Vec::new(),
            watcher: None,
            untimed: terms.untimed,
            deadline: Instant::now() + terms.limit * if terms.untimed { SLOW } else { 1 },
            figures: Vec::new(),
            misses: Vec::new(),
            history: None,
            folder,
            cluster,
        })
    }

    /// How often something is done: a few times, or often if there is time for that.
    pub(crate) fn rounds(&self, few: usize, many: usize) -> usize {
        if self.long { many } else { few }
    }

    /// How long something lasts, likewise.
    pub(crate) fn seconds(&self, short: u64, long: u64) -> Duration {
        Duration::from_secs(if self.long { long } else { short })
    }

    pub(crate) fn figure(&mut self, text: impl Into<String>) {
        self.figures.push(text.into());
    }

    /// Notes a figure and what the row promises about it.
    pub(crate) fn target(&mut self, what: &str, took: Duration, limit: Duration) {
        self.figure(format!("{what} {:.1} s", took.as_secs_f64()));
        if took > limit && !self.untimed {
            self.miss(format!(
                "{what} took {:.1} s, at most {:.1} s is promised",
                took.as_secs_f64(),
                limit.as_secs_f64()
            ));
        }
    }

    /// Notes what is not as promised; the row goes on to its verdict.
    pub(crate) fn miss(&mut self, text: impl Into<String>) {
        self.misses.push(text.into());
    }

    pub(crate) fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.miss(otherwise());
        }
    }

    /// Makes the topics and begins to watch the output.
    pub(crate) fn topics(&mut self, settings: &[(&str, &str)]) -> Result<()> {
        self.cluster
            .create_topic(&self.input.topic, self.partitions, &[])?;
        self.cluster
            .create_topic(&self.output.topic, self.partitions, settings)?;
        self.watcher = Some(Watcher::start(&self.output, self.partitions)?);
        Ok(())
    }

    /// Starts a worker and answers its number.
    pub(crate) fn worker(&mut self, plan: &Plan) -> Result<usize> {
        let mut plan = plan.clone();
        plan.flags.extend(self.mistake.iter().cloned());
        let servers = self.cluster.servers();
        let place = Place {
            servers: &servers,
            group: &self.group,
            input: &self.input.topic,
            output: &self.output.topic,
            letters: &self.letters.topic,
            folder: &self.folder,
        };
        let number = self.workers.len();
        self.workers
            .push(Worker::start(&format!("worker-{number}"), &plan, &place)?);
        Ok(number)
    }

    /// Records at this rate per second, until [`Self::finish`] or [`Self::end_load`].
    pub(crate) fn load(&mut self, rate: u64) -> Result<()> {
        self.load_padded(rate, load::PADDING)
    }

    pub(crate) fn load_padded(&mut self, rate: u64, padding: usize) -> Result<()> {
        let number = self.loads.len();
        let plan = load::Plan {
            topic: self.input.topic.clone(),
            partitions: self.partitions,
            // So that most partitions have some.
            keys: KEYS.max(4 * self.partitions as usize),
            rate,
            producer: u32::try_from(number).unwrap_or(u32::MAX),
            padding,
        };
        let dice = Dice::new(self.dice.next());
        self.loads
            .push(Load::start(&self.cluster.servers(), plan, dice)?);
        Ok(())
    }

    /// Waits until everything sent is acknowledged or refused.
    pub(crate) fn end_load(&mut self) -> Result<()> {
        let mut refused = 0;
        for load in &mut self.loads {
            refused += load.finish()?;
        }
        if refused > 0 {
            self.figure(format!("{refused} refused to the load"));
        }
        Ok(())
    }

    /// Everything acknowledged so far.
    pub(crate) fn sent(&self) -> Vec<Input> {
        self.loads.iter().flat_map(Load::sent).collect()
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.loads.iter().map(Load::acknowledged).sum()
    }

    /// The bytes of what has not come out yet, about: records of all sizes come out alike.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        let bytes: u64 = self.loads.iter().map(Load::acknowledged_bytes).sum();
        let left = self.acknowledged().saturating_sub(self.seen());
        bytes * left as u64 / self.acknowledged().max(1) as u64
    }

    /// How many outputs were seen so far.
    pub(crate) fn seen(&self) -> usize {
        self.watcher.as_ref().map_or(0, Watcher::count)
    }

    /// What of these has not come out.
    pub(crate) fn missing(&self, inputs: &[Input]) -> Result<Vec<Input>> {
        match &self.watcher {
            Some(watcher) => watcher.missing(inputs),
            None => Err(Failure::new(
                "nobody watches the output: call topics() first",
            )),
        }
    }

    /// Waits for a condition; answers how long it took. A worker that ends although it should not fails
    /// the row at once.
    pub(crate) fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<Duration> {
        let begun = Instant::now();
        let limit = limit * if self.untimed { SLOW } else { 1 };
        loop {
            self.look()?;
            if ready(self)? {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > limit {
                return Err(Failure::new(format!(
                    "{what}: not after {:.0} s",
                    limit.as_secs_f64()
                )));
            }
            if Instant::now() > self.deadline {
                return Err(Failure::new(format!(
                    "the row took too long; it waited for: {what}"
                )));
            }
            process::pause()?;
        }
    }

    fn look(&mut self) -> Result<()> {
        for (number, worker) in self.workers.iter_mut().enumerate() {
            worker.refresh()?;
            if let Some((status, _)) = worker.ended.filter(|_| !worker.may_end) {
                let log = worker.log();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(12)..].join("\n");
                return Err(Failure::new(format!(
                    "worker {number} ended ({status}):\n{tail}"
                )));
            }
        }
        Ok(())
    }

    /// Lets a fault last.
    pub(crate) fn hold(&mut self, long: Duration) -> Result<()> {
        let begun = Instant::now();
        self.until("the fault lasts", long + Duration::from_secs(1), |_| {
            Ok(begun.elapsed() >= long)
        })
        .map(|_| ())
    }

    /// Waits until the living workers share all partitions.
    pub(crate) fn assigned(&mut self, limit: Duration) -> Result<Duration> {
        let all: BTreeSet<i32> = (0..self.partitions).collect();
        self.until("every partition has an owner", limit, |trial| {
            let living: Vec<&Worker> = trial
                .workers
                .iter()
                .filter(|worker| worker.is_alive())
                .collect();
            let owned: Vec<i32> = living.iter().flat_map(|worker| worker.owned()).collect();
            let heard = living.iter().all(|worker| worker.is_assigned());
            Ok(heard
                && owned.len() == all.len()
                && owned.iter().copied().collect::<BTreeSet<_>>() == all)
        })
    }

    /// Waits until everything acknowledged so far has come out.
    pub(crate) fn caught_up(&mut self, limit: Duration) -> Result<Duration> {
        let mut left = self.sent();
        let all = left.len();
        let result = self.until("everything sent has come out", limit, |trial| {
            left = trial.missing(&left)?;
            Ok(left.is_empty())
        });
        result.map_err(|failure| {
            let Some(first) = left.first().filter(|_| !failure.is_interrupted()) else {
                return failure;
            };
            Failure::new(format!(
                "{failure}; {} of {all} are missing, such as {:?} at {:?}",
                left.len(),
                first.id,
                first.place
            ))
        })
    }

    /// Waits for the end of a worker; answers how, and how long it took.
    pub(crate) fn ended(
        &mut self,
        number: usize,
        limit: Duration,
    ) -> Result<(ExitStatus, Duration)> {
        let took = self.until(&format!("worker {number} ends"), limit, |trial| {
            Ok(!trial.workers[number].is_alive())
        })?;
        match self.workers[number].ended {
            Some((status, _)) => Ok((status, took)),
            None => Err(Failure::new(format!("worker {number} has not ended"))),
        }
    }

    pub(crate) fn kill(&mut self, number: usize) -> Result<()> {
        self.workers[number].may_end = true;
        self.workers[number].signal(Signal::SIGKILL);
        self.ended(number, Duration::from_secs(5)).map(|_| ())
    }

    /// Asks a worker to stop and waits for its end.
    pub(crate) fn terminate(
        &mut self,
        number: usize,
        limit: Duration,
    ) -> Result<(ExitStatus, Duration)> {
        self.workers[number].may_end = true;
        self.workers[number].signal(Signal::SIGTERM);
        self.ended(number, limit)
    }

    /// How often partitions were taken from living workers since then.
    pub(crate) fn revocations(&self, since: u64) -> usize {
        let living = self.workers.iter().filter(|worker| worker.is_alive());
        let entries = living.flat_map(|worker| &worker.journal.entries);
        entries
            .filter(|entry| {
                entry.time >= since
                    && matches!(&entry.deed, Deed::Revoked(list) if !list.is_empty())
            })
            .count()
    }

    /// The longest time without an output, of those that were seen since then.
    pub(crate) fn longest_gap(&self, since: u64) -> Duration {
        let glimpses = self
            .watcher
            .as_ref()
            .map(Watcher::glimpses)
            .unwrap_or_default();
        let mut times: Vec<u64> = glimpses
            .iter()
            .map(|glimpse| glimpse.time)
            .filter(|time| *time >= since)
            .collect();
        times.push(crate::journal::now());
        times.sort_unstable();
        Duration::from_micros(
            times
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .max()
                .unwrap_or(0),
        )
    }

    /// Begins on a sound cluster with nothing on it.
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.heal()?;
        self.cluster.delete_topics()
    }

    /// Starts brokers that have ended, takes every fault away, and waits until replicas agree.
    pub(crate) fn heal(&mut self) -> Result<()> {
        self.cluster.heal()?;
        self.until("every broker is ready", HEALED, |trial| {
            Ok((0..NODES).all(|node| trial.cluster.is_ready(node)))
        })?;
        self.until("replicas agree", HEALED, |trial| trial.cluster.is_in_sync())
            .map(|_| ())
    }

    /// Stops every worker that lives, and expects it to end well.
    pub(crate) fn stop_workers(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            worker.may_end = true;
            worker.signal(Signal::SIGTERM);
        }
        for number in 0..self.workers.len() {
            if self.workers[number].is_alive() {
                let (status, _) = self.ended(number, Duration::from_secs(20))?;
                self.expect(status.success(), || {
                    format!("worker {number} ended with {status}")
                });
            }
        }
        Ok(())
    }

    /// Ends the load, waits until all of it came out, stops the workers, and judges.
    pub(crate) fn finish(&mut self, limit: Duration, rules: Rules) -> Result<checker::Verdict> {
        self.end_load()?;
        self.caught_up(limit)?;
        self.stop_workers()?;
        if rules.exactly_once {
            self.transactions_end()?;
        }
        self.judge(rules)
    }

    /// Whether a transaction is open that has written outputs.
    pub(crate) fn is_in_transaction(&self) -> Result<bool> {
        let ends = self.output.ends()?;
        Ok(ends.iter().any(|end| end.stable != end.high))
    }

    /// Waits for the end of what killed workers left open.
    fn transactions_end(&mut self) -> Result<()> {
        self.until("no transaction is open", OPEN, |trial| {
            Ok(!trial.is_in_transaction()?)
        })
        .map(|_| ())
    }

    /// Collects what every observer saw.
    fn observe(&self) -> Result<History> {
        Ok(History {
            sent: self.sent(),
            input: self.input.inputs_but(&self.pills)?,
            low: self.input.lows()?,
            outputs: self.output.outputs()?,
            glimpses: self
                .watcher
                .as_ref()
                .map(Watcher::glimpses)
                .unwrap_or_default(),
            commits: observe::commits(&self.cluster.servers(), &self.group, &self.input.topic)?,
            journals: self
                .workers
                .iter()
                .map(|worker| worker.journal.entries.clone())
                .collect(),
            ends: self.output.ends()?,
        })
    }

    /// The last committed offset of each partition.
    pub(crate) fn committed(&self) -> Result<std::collections::BTreeMap<i32, i64>> {
        let commits = observe::commits(&self.cluster.servers(), &self.group, &self.input.topic)?;
        Ok(commits
            .into_iter()
            .map(|commit| (commit.partition, commit.next))
            .collect())
    }

    /// For a run with a mistake on purpose: the checker has to find a violation of one of these.
    pub(crate) fn convict(&mut self, rules: Rules, of: &[Invariant]) -> Result<()> {
        let verdict = self.check(rules)?;
        let counts: Vec<String> = of
            .iter()
            .map(|invariant| {
                let found = verdict.violations.iter();
                let count = found.filter(|found| found.invariant == *invariant).count();
                format!("{count} {invariant:?}")
            })
            .collect();
        self.figure(format!(
            "{} records, found: {}",
            verdict.records,
            counts.join(", ")
        ));
        let found = |violation: &Violation| of.contains(&violation.invariant);
        self.expect(verdict.violations.iter().any(found), || {
            "the mistake was not found".into()
        });
        Ok(())
    }

    /// What was observed, once it was judged.
    pub(crate) fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    fn check(&mut self, rules: Rules) -> Result<checker::Verdict> {
        self.look()?;
        let history = self.observe()?;
        let verdict = checker::check(&history, rules);
        self.history = Some(history);
        Ok(verdict)
    }

    /// Has the checker judge what every observer saw.
    pub(crate) fn judge(&mut self, rules: Rules) -> Result<checker::Verdict> {
        let verdict = self.check(rules)?;
        if verdict.resent > 0 {
            self.figure(format!("{} sent twice by the load", verdict.resent));
        }
        self.figures.insert(
            0,
            format!(
                "{} records, {} lost, {} duplicates",
                verdict.records, verdict.lost, verdict.duplicates
            ),
        );
        for violation in verdict.violations.iter().take(SHOWN) {
            self.misses.push(violation.to_string());
        }
        if verdict.violations.len() > SHOWN {
            self.misses.push(format!(
                "and {} more violations",
                verdict.violations.len() - SHOWN
            ));
        }
        Ok(verdict)
    }

    /// What a row that broke off leaves: observed as far as that is possible, but not judged.
    fn evidence(&mut self) {
        let seen = self.cluster.heal().and_then(|()| self.observe());
        match seen {
            Ok(history) => {
                self.misses.push(format!(
                    "{} records in the input, {} in the output",
                    history.input.len(),
                    history.outputs.len()
                ));
                self.history = Some(history);
            }
            Err(failure) => self.misses.push(format!("no history: {failure}")),
        }
    }

    /// The figures, and what was not as promised. Keeps the evidence of a row that failed.
    pub(crate) fn result(mut self, outcome: Result<()>) -> Result<(String, Vec<String>)> {
        if let Err(failure) = outcome {
            if failure.is_interrupted() {
                return Err(failure);
            }
            self.misses.push(failure.to_string());
            self.evidence();
        }
        // Their journals end before they are kept.
        self.workers.clear();
        let doing = || format!("tidy up {}", self.folder.display());
        if self.misses.is_empty() {
            fs::remove_dir_all(&self.folder).or_fail(doing)?;
        } else {
            let history = self
                .history
                .as_ref()
                .map(|history| format!("{history:#?}\n"))
                .unwrap_or_default();
            fs::write(self.folder.join("history.txt"), history).or_fail(doing)?;
            self.misses.push(format!(
                "journals, logs and history: {}",
                self.folder.display()
            ));
        }
        Ok((self.figures.join(", "), self.misses))
    }
}
