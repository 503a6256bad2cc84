//! Who runs against the rival, and the rival's ways to do the work.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::child;
use crate::contest::{Contestant, Run, Work};
use crate::settings;

/// Where the rival's replies go: its reply types name their topic.
pub(super) const OUTPUT: &str = "bench-rival-converted";

/// A contestant that awaits record by record gets this part of the records.
const SLOW: u64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrant {
    Own(Contestant),
    Rival(Rival),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    name: &'static str,
    /// As its command line calls it.
    idiom: &'static str,
    settings: Settings,
    workers: u32,
    /// Awaits the acknowledgement of one record before the next.
    slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settings {
    /// librdkafka's defaults, which the rival leaves alone
    Default,
    /// Only `fetch.queue.backoff.ms`
    Backoff,
    /// Those that all others have
    Shared,
}

const fn rival(name: &'static str, idiom: &'static str, settings: Settings) -> Rival {
    Rival {
        name,
        idiom,
        settings,
        workers: 1,
        slow: false,
    }
}

impl Rival {
    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    const fn workers(self, workers: u32) -> Self {
        Self { workers, ..self }
    }
}

const CONSUME: [Rival; 5] = [
    rival("rival-batch", "count-batch", Settings::Default),
    rival("rival-batch-backoff", "count-batch", Settings::Backoff),
    rival("rival-batch-tuned", "count-batch", Settings::Shared),
    rival("rival-single", "count-single", Settings::Default),
    rival("rival-single-tuned", "count-single", Settings::Shared),
];

const TRANSFORM: [Rival; 6] = [
    rival("rival-joined", "join-batch", Settings::Default),
    rival("rival-joined-tuned", "join-batch", Settings::Shared),
    rival("rival-joined-workers", "join-batch", Settings::Shared).workers(4),
    rival("rival-single-workers", "reply-single", Settings::Shared).workers(256),
    rival("rival-single", "reply-single", Settings::Default).slow(),
    rival("rival-batch", "reply-batch", Settings::Default).slow(),
];

/// The floor first, ours second.
pub(super) fn of(work: Work) -> Vec<Entrant> {
    let rivals: &[Rival] = match work {
        Work::Consume => &CONSUME,
        Work::Transform => &TRANSFORM,
        Work::Produce | Work::Copy => &[],
    };
    let own = [Contestant::Floor, Contestant::Ours, Contestant::Batch];
    let rivals = rivals.iter().copied().map(Entrant::Rival);
    own.into_iter().map(Entrant::Own).chain(rivals).collect()
}

impl Entrant {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Own(Contestant::Batch) => "ours-batch",
            Self::Own(contestant) => contestant.name(),
            Self::Rival(rival) => rival.name,
        }
    }

    /// All others are compared with this one, and it with the floor.
    pub(super) fn is_always_there(&self) -> bool {
        matches!(self, Self::Own(Contestant::Floor | Contestant::Ours))
    }

    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Rival(rival) if rival.slow)
    }

    /// How many of so many records it gets.
    pub(super) fn share(&self, records: u64) -> u64 {
        if self.is_slow() {
            (records / SLOW).max(10)
        } else {
            records
        }
    }

    pub(super) fn contestant(&self) -> Contestant {
        match self {
            Self::Own(contestant) => *contestant,
            // Not asked for: the rival's command line does not hold it.
            Self::Rival(_) => Contestant::Floor,
        }
    }

    /// Its process, perhaps under another program.
    pub(super) fn command(
        &self,
        run: &Run,
        binary: &Path,
        under: &[OsString],
    ) -> Result<Command, Box<dyn Error>> {
        match self {
            Self::Own(_) => child::command(run, under),
            Self::Rival(rival) => Ok(rival.command(run, binary, under)),
        }
    }

    /// What it is, for the reader of a table.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Own(Contestant::Floor) => "librdkafka's C interface by hand".to_owned(),
            Self::Own(Contestant::Batch) => {
                "agent over `Batch`, batch_size 1000, at least once".to_owned()
            }
            Self::Own(_) => "agent over one `Event`, at least once".to_owned(),
            Self::Rival(rival) => rival.describe(),
        }
    }
}

impl Rival {
    fn consumer(self, embedded: bool) -> Vec<(&'static str, &'static str)> {
        let wait = settings::fetch_wait(embedded);
        let mut all = match self.settings {
            Settings::Default => Vec::new(),
            Settings::Backoff => vec![("fetch.queue.backoff.ms", "2")],
            Settings::Shared => settings::CONSUMER.into_iter().chain([wait]).collect(),
        };
        // The mock broker lets an empty fetch wait to its end.
        if embedded && self.settings != Settings::Shared {
            all.push(wait);
        }
        all
    }

    fn producer(self) -> &'static [(&'static str, &'static str)] {
        match self.settings {
            Settings::Default | Settings::Backoff => &[],
            Settings::Shared => &settings::PRODUCER,
        }
    }

    fn command(self, run: &Run, binary: &Path, under: &[OsString]) -> Command {
        let mut command = child::program(binary, under);
        command.arg(self.idiom);
        command.args(["--servers", &run.servers, "--topic", &run.topic]);
        command.args(["--group", &run.group]);
        command.args(["--records", &run.records.to_string()]);
        command.args(["--workers", &self.workers.to_string()]);
        for (key, value) in self.consumer(run.embedded) {
            command.args(["--consumer", &format!("{key}={value}")]);
        }
        for (key, value) in self.producer() {
            command.args(["--producer", &format!("{key}={value}")]);
        }
        if run.allocations {
            command.arg("--allocations");
        }
        child::without_surroundings(&mut command);
        command
    }

    fn describe(self) -> String {
        let body = match self.idiom {
            "count-single" => "`&Reading`",
            "count-batch" => "`&[Reading]`, batch 1000",
            "reply-single" => "`&Reading`, `reply`",
            "reply-batch" => "`&[Reading]` to `Vec<Converted>`, `reply`, batch 1000",
            _ => "`&[Reading]`, batch 1000, `Out` and `join_all`",
        };
        let settings = match self.settings {
            Settings::Default => "default settings",
            Settings::Backoff => "fetch.queue.backoff.ms=2",
            Settings::Shared => "our settings",
        };
        let workers = match self.workers {
            1 => String::new(),
            workers => format!(", workers({workers})"),
        };
        format!("{body}, `Commit::Tracked`{workers}, {settings}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_floor_and_ours_come_first() {
        for work in [Work::Consume, Work::Transform] {
            let all = of(work);
            let mut names: Vec<_> = all.iter().map(Entrant::name).collect();
            assert_eq!(names[..2], ["floor", "ours"]);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all.len());
        }
    }

    #[test]
    fn tuned_rivals_have_the_settings_of_the_others() {
        let tuned = CONSUME[2].consumer(false);
        assert!(tuned.contains(&("fetch.queue.backoff.ms", "2")));
        assert_eq!(tuned.len(), settings::CONSUMER.len() + 1);
        assert_eq!(CONSUME[0].consumer(false), []);
        assert_eq!(TRANSFORM[0].producer(), []);
        assert_eq!(TRANSFORM[1].producer(), settings::PRODUCER);
    }

    #[test]
    fn one_that_awaits_each_record_gets_fewer() {
        assert_eq!(Entrant::Rival(TRANSFORM[4]).share(1_000_000), 5000);
        assert_eq!(Entrant::Rival(TRANSFORM[0]).share(1_000_000), 1_000_000);
    }
}
