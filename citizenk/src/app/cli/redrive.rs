//! `redrive`: dead letters on their way back.
//!
//! In: the letters a topic holds at start, and a filter. Out: each letter's record on its agent's first
//! retry topic, due at once, or on its source; and a [`Report`]. Reads without a group and commits
//! nothing: the letters stay where they are.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt;

use super::super::service::overrides;
use super::super::{App, Assembled};
use super::list::table;
use super::records::usage;
use super::{RedriveArgs, known_topic, unknown, unread};
use crate::config::{DEFAULT_CLUSTER, Settings};
use crate::error::RunError;
use crate::extract::{Found, OutputTable, OutputTarget, Reader};
use crate::record::{Chunk, Headers, Timestamp};
use crate::runtime::clusters::Clusters;
use crate::runtime::lane::DEAD_LETTER_HEADERS;
use crate::runtime::lane::returned::{Story, is_story};
use crate::runtime::produce::Sender;
use crate::schema::Schemas;
use crate::staging::StagedBatch;
use crate::time::{Clock, parse_duration};
use crate::topic::describe::TopicInfo;
use crate::transport::ProducerSpec;

/// A dry run shows at most this many letters.
const MOST_ROWS: usize = 1000;
/// How much of a reason a dry run shows.
const SHOWN: usize = 60;

/// What became of the letters.
#[derive(Debug, Default)]
pub(super) struct Report {
    topic: String,
    pub(super) read: u64,
    /// By the name of the topic on the broker.
    pub(super) sent: BTreeMap<String, u64>,
    /// What the filter passed over.
    pub(super) filtered: u64,
    /// Why letters could not be sent, and how many.
    pub(super) refused: BTreeMap<String, u64>,
    dry: bool,
    rows: Vec<Vec<String>>,
    /// Why it ended before the last letter.
    ended: Option<&'static str>,
}

impl Report {
    fn count(&self) -> u64 {
        self.sent.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            let head = ["letter", "agent", "stage", "tries", "key", "reason", "to"];
            write!(f, "{}", table(&head, &self.rows))?;
            let more = self.count() - self.rows.len() as u64;
            if more > 0 {
                writeln!(f, "and {more} more")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "read {} records of `{}`", self.read, self.topic)?;
        if self.filtered > 0 {
            writeln!(f, "passed over by the filter: {}", self.filtered)?;
        }
        let sent = if self.dry { "would send" } else { "sent" };
        for (topic, count) in &self.sent {
            writeln!(f, "{sent} to `{topic}`: {count}")?;
        }
        if self.sent.is_empty() {
            writeln!(f, "{sent}: 0")?;
        }
        for (why, count) in &self.refused {
            writeln!(f, "not sent: {count}: {why}")?;
        }
        if let Some(ended) = self.ended {
            writeln!(f, "ended before the last letter: {ended}")?;
        }
        if !self.sent.is_empty() && !self.dry {
            let topic = &self.topic;
            writeln!(
                f,
                "the letters stay on `{topic}`: another redrive sends them again; `--from` passes over earlier ones"
            )?;
        }
        Ok(())
    }
}

/// Reads, sends and prints.
pub(super) async fn redrive(
    app: &App,
    settings: &Settings,
    args: &RedriveArgs,
    clusters: Clusters,
    stop: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let report = run(app, settings, args, clusters, stop, &Clock::system()).await?;
    super::list::write(&report.to_string())?;
    let refused: u64 = report.refused.values().sum();
    if refused == 0 {
        return Ok(());
    }
    Err(RunError::Startup {
        component: "redrive".to_owned(),
        reason: format!("{refused} letters were not sent"),
    })
}

pub(super) async fn run(
    app: &App,
    settings: &Settings,
    args: &RedriveArgs,
    clusters: Clusters,
    stop: impl Future<Output = ()>,
    clock: &Clock,
) -> Result<Report, RunError> {
    let letters = known_topic(app, settings, &args.topic)?;
    let assembled = app.assembled(&overrides(settings))?;
    let ways = Ways::new(&assembled, settings, args, letters.clone(), clock)?;
    let real = settings.real_topic(letters.name);
    // Everything up to the end it has now.
    let reader = Reader::over(clusters.clone(), settings, format!("{}-redrive", app.name));
    let reader = reader.on(letters.cluster).map_err(unknown)?;
    let mut read = reader.raw(real).chunks();
    if args.to_source && !args.dry_run {
        eprintln!(
            "warning: the records go back to their sources: every reader of these topics sees them again, not only the agent that failed"
        );
    }
    let mut producers = Vec::new();
    for cluster in clusters.all() {
        let producer = cluster.transport.start_producer(ProducerSpec {
            name: app.name.clone(),
            client_id: format!("{}-redrive", app.name),
            settings: cluster.producer_settings.clone(),
        })?;
        producers.push((cluster.name, producer));
    }
    let sender = Arc::new(Sender::new(producers, settings.names()));
    let mut report = Report {
        topic: letters.name.to_owned(),
        dry: args.dry_run,
        ..Report::default()
    };
    tokio::pin!(stop);
    let result = loop {
        tokio::select! {
            biased;
            () = &mut stop => {
                report.ended = Some("it was told to stop");
                break Ok(());
            }
            item = read.next() => {
                let (chunk, range) = match item {
                    None => break Ok(()),
                    Some(Err(error)) => break Err(unread(error)),
                    Some(Ok(Found::Deleted(partition, from, to))) => {
                        tracing::warn!(%partition, from, to, "letters were deleted before they were read");
                        continue;
                    }
                    Some(Ok(Found::Records(chunk, range))) => (chunk, range),
                };
                let batch = ways.chunk(&chunk, range, &mut report);
                if !batch.is_empty()
                    && let Err(error) = sender.send_table(&ways.table, batch).await
                {
                    break Err(error.into());
                }
                if args.limit.is_some_and(|limit| report.count() >= limit) {
                    report.ended = Some("the limit is reached");
                    break Ok(());
                }
            }
        }
    };
    match result {
        Ok(()) => Ok(report),
        Err(error) => {
            if report.read > 0 {
                eprintln!("so far, the last of them perhaps not acknowledged:\n{report}");
            }
            Err(error)
        }
    }
}

/// Where letters may go.
struct Ways<'a> {
    args: &'a RedriveArgs,
    /// The dead-letter topic.
    letters: TopicInfo,
    table: OutputTable,
    /// Names on the broker, as `table` counts.
    reals: Vec<String>,
    /// An agent's first retry topic, if it has one.
    agents: BTreeMap<String, Option<usize>>,
    /// The app's topics by cluster and name on the broker.
    sources: HashMap<(String, String), (usize, TopicInfo)>,
    now: i64,
    from: Option<i64>,
    to: Option<i64>,
}

/// What is to become of a record.
enum Fate {
    To(usize),
    Filtered,
    Refused(String),
}

impl<'a> Ways<'a> {
    fn new(
        assembled: &Assembled,
        settings: &Settings,
        args: &'a RedriveArgs,
        letters: TopicInfo,
        clock: &Clock,
    ) -> Result<Self, RunError> {
        let mut targets: Vec<OutputTarget> = Vec::new();
        let mut sources = HashMap::new();
        for info in assembled.topics.values() {
            sources.insert(
                (info.cluster.to_owned(), settings.real_topic(info.name)),
                (targets.len(), info.clone()),
            );
            targets.push(OutputTarget {
                id: info.id(),
                topic: info.output(),
            });
        }
        let reals = targets
            .iter()
            .map(|t| settings.real_topic(t.id.text()))
            .collect();
        let table = OutputTable::new(targets, Schemas::none());
        let agents: BTreeMap<String, Option<usize>> = assembled
            .agents
            .iter()
            .map(|agent| {
                let first = agent.plan.retry_topics.first();
                let first = first.and_then(|topic| table.index_of(topic.info.id()));
                (agent.plan.spec.name.clone(), first)
            })
            .collect();
        if let Some(name) = &args.agent {
            match agents.get(name) {
                None => {
                    let hint =
                        crate::suggest::did_you_mean(name, agents.keys().map(String::as_str));
                    let message = format!("the app has no agent `{name}`{hint}");
                    return Err(usage("--agent", message));
                }
                Some(None) if !args.to_source => {
                    return Err(usage("--agent", without_topics(name)));
                }
                Some(_) => {}
            }
        }
        let now = clock.millis();
        Ok(Self {
            letters,
            table,
            reals,
            agents,
            sources,
            now,
            from: time("--from", args.from.as_deref(), now)?,
            to: time("--to", args.to.as_deref(), now)?,
            args,
        })
    }

    /// Stages what is to be sent of these records of a chunk.
    fn chunk(&self, chunk: &Chunk, range: Range<usize>, report: &mut Report) -> StagedBatch {
        let mut batch = StagedBatch::default();
        for index in range {
            if self.args.limit.is_some_and(|limit| report.count() >= limit) {
                break;
            }
            report.read += 1;
            let letter = Dead::new(chunk, index);
            match self.fate(&letter) {
                Fate::Filtered => report.filtered += 1,
                Fate::Refused(why) => *report.refused.entry(why).or_default() += 1,
                Fate::To(target) => {
                    if !self.args.dry_run {
                        self.stage(&letter, target, &mut batch);
                    } else if report.rows.len() < MOST_ROWS {
                        report.rows.push(letter.row(&self.reals[target]));
                    }
                    *report.sent.entry(self.reals[target].clone()).or_default() += 1;
                }
            }
        }
        batch
    }

    fn fate(&self, letter: &Dead<'_>) -> Fate {
        let args = self.args;
        let Some(agent) = letter.fact("agent") else {
            let name = format!("{DEAD_LETTER_HEADERS}agent");
            return Fate::Refused(format!("no dead letters, they have no header `{name}`"));
        };
        let source = letter.fact("topic").unwrap_or_default();
        let cluster = letter.fact("cluster").unwrap_or(DEFAULT_CLUSTER);
        let known = self.sources.get(&(cluster.to_owned(), source.to_owned()));
        let written = letter.chunk.timestamp(letter.index).millis();
        let passed_over = args.agent.as_ref().is_some_and(|wanted| wanted != agent)
            || args
                .reason
                .as_ref()
                .is_some_and(|part| !letter.fact("reason").unwrap_or_default().contains(part))
            || self
                .from
                .is_some_and(|from| written.is_none_or(|at| at < from))
            || self.to.is_some_and(|to| written.is_none_or(|at| at >= to))
            || args.key.as_ref().is_some_and(|key| {
                let info = known.map_or(&self.letters, |(_, info)| info);
                !letter.has_key(key, info)
            });
        if passed_over {
            return Fate::Filtered;
        }
        if args.to_source {
            return match known {
                Some((target, info)) if !info.internal => Fate::To(*target),
                _ => Fate::Refused(format!(
                    "the app names no topic that is `{source}` on the broker"
                )),
            };
        }
        if letter.fact("stage") == Some("produce") {
            return Fate::Refused(format!(
                "outputs of agent `{agent}` that topic `{source}` refused, not its input; `--to-source` sends them there"
            ));
        }
        match self.agents.get(agent) {
            None => Fate::Refused(format!(
                "the app has no agent `{agent}`; `--to-source` sends to the topics the records came from"
            )),
            Some(None) => Fate::Refused(without_topics(agent)),
            Some(Some(_)) if letter.place().is_none() => {
                Fate::Refused("their headers do not say where the records came from".to_owned())
            }
            Some(Some(target)) => Fate::To(*target),
        }
    }

    fn stage(&self, letter: &Dead<'_>, target: usize, batch: &mut StagedBatch) {
        let (chunk, index) = (letter.chunk, letter.index);
        let mut writer = batch.record(target);
        if let Some(key) = chunk.key(index) {
            writer.key_bytes(key);
        }
        chunk.headers(index, &mut |name, value| {
            if !is_story(name) {
                writer.header(name, value);
            }
        });
        let place = letter.place();
        if self.args.to_source {
            // Where it was, whoever chose the partition.
            let partition = place.map(|(_, partition, _)| partition);
            writer.partition(partition).finish(chunk.payload(index));
            return;
        }
        if let Some((topic, partition, offset)) = place {
            let story = Story {
                due: self.now,
                topic,
                partition,
                offset,
                timestamp: letter.source_time(),
                attempts: 0,
                stage: 1,
                reason: letter.fact("reason").unwrap_or_default(),
                agent: letter.fact("agent").unwrap_or_default(),
            };
            story.write(&mut writer);
        }
        writer.finish(chunk.payload(index));
    }
}

fn without_topics(agent: &str) -> String {
    format!(
        "agent `{agent}` has no retry topics; add `retry_topics([..])` to its `on_error`, or use `--to-source`"
    )
}

/// A point in time as people write it, in milliseconds since 1970.
fn time(flag: &str, text: Option<&str>, now: i64) -> Result<Option<i64>, RunError> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(ago) = parse_duration(text) {
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        return Ok(Some(now.saturating_sub(ago)));
    }
    match chrono::DateTime::parse_from_rfc3339(text) {
        Ok(time) => Ok(Some(time.timestamp_millis())),
        Err(_) => Err(usage(
            flag,
            format!("`{text}` is no time; write \"2025-01-31T06:00:00Z\", or how long ago: \"2h\""),
        )),
    }
}

/// A record of the dead-letter topic.
struct Dead<'a> {
    chunk: &'a Chunk,
    index: usize,
    facts: Headers,
}

impl<'a> Dead<'a> {
    fn new(chunk: &'a Chunk, index: usize) -> Self {
        let mut facts = Headers::new();
        chunk.headers(index, &mut |name, value| {
            if let Some(name) = name.strip_prefix(DEAD_LETTER_HEADERS) {
                facts.push(name, value);
            }
        });
        Self {
            chunk,
            index,
            facts,
        }
    }

    fn fact(&self, name: &str) -> Option<&str> {
        self.facts.text(name)
    }

    /// Where the record came from.
    fn place(&self) -> Option<(&str, i32, i64)> {
        let topic = self.fact("topic")?;
        let partition = self.fact("partition")?.parse().ok()?;
        Some((topic, partition, self.fact("offset")?.parse().ok()?))
    }

    /// When the record was written to its source; letters of earlier versions do not say it.
    fn source_time(&self) -> Timestamp {
        let said = self.fact("timestamp").and_then(|text| text.parse().ok());
        said.map_or_else(|| self.chunk.timestamp(self.index), Timestamp::Create)
    }

    /// Whether this is its key, in the text form its topic has for keys.
    fn has_key(&self, text: &str, topic: &TopicInfo) -> bool {
        let mut bytes = Vec::new();
        let written = topic.key_from_text(text, &mut bytes).is_ok();
        written && self.chunk.key(self.index) == Some(bytes.as_slice())
    }

    fn row(&self, to: &str) -> Vec<String> {
        let fact = |name| self.fact(name).unwrap_or("-").to_owned();
        let key = match self.chunk.key(self.index).map(std::str::from_utf8) {
            None => "(null)".to_owned(),
            Some(Ok(text)) => text.escape_debug().to_string(),
            Some(Err(_)) => "(bytes)".to_owned(),
        };
        let reason = fact("reason");
        let mut shown: String = reason.chars().take(SHOWN).collect();
        if shown.len() < reason.len() {
            shown.push_str("..");
        }
        let place = format!(
            "{}@{}",
            self.chunk.partition(),
            self.chunk.offset(self.index)
        );
        let shown = shown.escape_debug().to_string();
        let (agent, stage, tries) = (fact("agent"), fact("stage"), fact("attempts"));
        vec![place, agent, stage, tries, key, shown, to.to_owned()]
    }
}

#[cfg(test)]
#[path = "redrive_tests.rs"]
mod tests;
