//! Records that failed and come back: what a retry topic holds.
//!
//! In: a record whose tries are used up. Out: its bytes for a retry topic, with a [`Story`] in headers;
//! and on the way back the same record as it stood on its source, so that handlers, logs and dead
//! letters see the source's topic, partition, offset and headers, whatever it has been through.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, Next};
use super::letters::{HEADER_PREFIX as LETTERS, Letter, short};
use crate::agent::AgentInput;
use crate::error::DecodeError;
use crate::extract::Outbox;
use crate::record::{Chunk, ChunkStore, Timestamp};
use crate::runtime::plan::RetryTopic;
use crate::staging::RecordWriter;
use crate::time::Clock;

/// Headers a record has on a retry topic besides its own.
pub(crate) const HEADER_PREFIX: &str = "citizenk.retry.";

/// The wait for a record is looked at again after this time: the system's clock may have been set.
const LOOK: Duration = Duration::from_secs(10);

/// What the headers of a record on a retry topic say.
#[derive(Clone, Debug)]
pub(crate) struct Story<'a> {
    /// When it is to be handled again, in milliseconds since the Unix epoch.
    pub(crate) due: i64,
    /// Where it was first read; the name on the broker.
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    /// How often it was tried so far.
    pub(crate) attempts: u32,
    /// The number of its retry topic, from 1.
    pub(crate) stage: usize,
    pub(crate) reason: &'a str,
    pub(crate) agent: &'a str,
}

impl Story<'_> {
    pub(crate) fn write(&self, writer: &mut RecordWriter<'_>) {
        let mut fact = |name: &str, value: &dyn fmt::Display| {
            let name = format!("{HEADER_PREFIX}{name}");
            writer.header(&name, Some(value.to_string().as_bytes()));
        };
        fact("due", &self.due);
        fact("topic", &self.topic);
        fact("partition", &self.partition);
        fact("offset", &self.offset);
        if let Some(millis) = self.timestamp.millis() {
            fact("timestamp", &millis);
        }
        fact("attempts", &self.attempts);
        fact("stage", &self.stage);
        fact("reason", &short(self.reason));
        fact("agent", &self.agent);
    }
}

/// Whether a header is the runtime's and not the record's own.
pub(crate) fn is_story(name: &str) -> bool {
    name.starts_with(HEADER_PREFIX) || name.starts_with(LETTERS)
}

/// Stages a record for a retry topic.
pub(super) fn stage(
    outbox: &Outbox,
    to: &RetryTopic,
    stage: usize,
    agent: &str,
    letter: &Letter<'_>,
    clock: &Clock,
) {
    let (chunk, index) = (letter.chunk, letter.index);
    let delay = i64::try_from(to.delay.as_millis()).unwrap_or(i64::MAX);
    let reason = letter.reason.to_string();
    let story = Story {
        due: clock.millis().saturating_add(delay),
        topic: chunk.topic(),
        partition: chunk.partition(),
        offset: chunk.offset(index),
        timestamp: chunk.timestamp(index),
        attempts: letter.attempts,
        stage: stage + 1,
        reason: &reason,
        agent,
    };
    outbox.stage_raw(to.output, |mut writer| {
        if let Some(key) = chunk.key(index) {
            writer.key_bytes(key);
        }
        chunk.headers(index, &mut |name, value| {
            if !is_story(name) {
                writer.header(name, value);
            }
        });
        story.write(&mut writer);
        writer.finish(chunk.payload(index));
    });
}

/// One record of a retry topic, as it stood on its source.
#[derive(Debug)]
pub(super) struct Returned {
    chunk: Chunk,
    index: usize,
    /// Which of the agent's topics it comes from.
    pub(super) input: usize,
    /// When it is to be handled, in milliseconds since the Unix epoch.
    pub(super) due: i64,
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    timestamp: Timestamp,
    attempts: u32,
}

/// Reads the headers of record `index`; `sources` are the agent's topics.
pub(super) fn open(
    chunk: &Chunk,
    index: usize,
    sources: &[Arc<str>],
) -> Result<Returned, DecodeError> {
    let (mut due, mut partition, mut offset) = (None, None, None);
    let (mut topic, mut timestamp, mut attempts) = (None, None, None);
    chunk.headers(index, &mut |name, value| {
        let Some(name) = name.strip_prefix(HEADER_PREFIX) else {
            return;
        };
        let Some(text) = value.and_then(|bytes| std::str::from_utf8(bytes).ok()) else {
            return;
        };
        match name {
            "due" => due = text.parse::<i64>().ok(),
            "topic" => topic = Some(text.to_owned()),
            "partition" => partition = text.parse::<i32>().ok(),
            "offset" => offset = text.parse::<i64>().ok(),
            "timestamp" => timestamp = text.parse::<i64>().ok(),
            "attempts" => attempts = text.parse::<u32>().ok(),
            _ => {}
        }
    });
    let wrong = |text: String| DecodeError::message("retry headers", text);
    let missing = |name: &str| {
        wrong(format!(
            "header `{HEADER_PREFIX}{name}` is missing or wrong"
        ))
    };
    let topic = topic.ok_or_else(|| missing("topic"))?;
    // A source that was renamed since is still the only one.
    let input = sources
        .iter()
        .position(|source| **source == *topic)
        .or((sources.len() == 1).then_some(0))
        .ok_or_else(|| {
            wrong(format!(
                "the record comes from topic `{topic}`, which the agent does not read (any more)"
            ))
        })?;
    Ok(Returned {
        chunk: chunk.clone(),
        index,
        input,
        due: due.ok_or_else(|| missing("due"))?,
        topic: topic.into(),
        partition: partition.ok_or_else(|| missing("partition"))?,
        offset: offset.ok_or_else(|| missing("offset"))?,
        timestamp: timestamp.map_or_else(|| chunk.timestamp(index), Timestamp::Create),
        attempts: attempts.ok_or_else(|| missing("attempts"))?,
    })
}

impl ChunkStore for Returned {
    fn topic(&self) -> &Arc<str> {
        &self.topic
    }
    fn partition(&self) -> i32 {
        self.partition
    }
    fn len(&self) -> usize {
        1
    }
    fn offset(&self, _: usize) -> i64 {
        self.offset
    }
    fn position(&self, _: usize) -> i64 {
        self.chunk.position(self.index)
    }
    fn earlier_attempts(&self) -> u32 {
        self.attempts
    }
    fn timestamp(&self, _: usize) -> Timestamp {
        self.timestamp
    }
    fn key(&self, _: usize) -> Option<&[u8]> {
        self.chunk.key(self.index)
    }
    fn payload(&self, _: usize) -> Option<&[u8]> {
        self.chunk.payload(self.index)
    }
    fn headers(&self, _: usize, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.chunk.headers(self.index, &mut |name, value| {
            if !name.starts_with(HEADER_PREFIX) {
                visit(name, value);
            }
        });
    }
}

impl<In: AgentInput, P, H> Core<In, P, H> {
    /// How long a record must still wait; never longer than its topic's delay, whatever its header or
    /// another machine's clock says. `None`: it is due.
    pub(super) fn wait_for(&self, due: i64) -> Option<Duration> {
        let longest = self.cx.retry_topic()?.delay;
        let left = due.saturating_sub(self.cx.env.clock.millis());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(longest);
        (!left.is_zero()).then_some(left.min(LOOK))
    }

    /// Waits until a record is due; a lane that is told to end ends at once.
    pub(super) async fn until_due(&self, due: i64) -> Next {
        let mut resting = None;
        while let Some(left) = self.wait_for(due) {
            resting.get_or_insert_with(|| self.cx.inbox.rest());
            tokio::select! {
                biased;
                _ = self.cx.inbox.closed() => return Next::Halt,
                () = tokio::time::sleep(left) => {}
            }
        }
        Next::Again
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Headers, OwnedRecord};
    use crate::staging::StagedBatch;

    fn staged(story: &Story<'_>) -> Chunk {
        let mut batch = StagedBatch::default();
        {
            let mut writer = batch.record(0);
            writer.header("own", Some(b"1"));
            story.write(&mut writer);
            writer.finish(Some(b"v"));
        }
        let mut headers = Headers::new();
        for (name, value) in batch.get(0).headers() {
            headers.push(name, value);
        }
        Arc::new(OwnedRecord {
            topic: "g.a.retry.30s".into(),
            offset: 3,
            headers,
            ..OwnedRecord::default()
        })
    }

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_stood_on_its_source(
            due in any::<i64>(), partition in 0..1000_i32, offset in 0..i64::MAX, attempts in any::<u32>(),
            millis in proptest::option::of(0..i64::MAX), reason in ".{0,40}", second in any::<bool>(),
        ) {
            let story = Story {
                due, partition, offset, attempts, stage: 1, reason: &reason, agent: "a",
                topic: if second { "refunds" } else { "orders" },
                timestamp: millis.map_or(Timestamp::None, Timestamp::Create),
            };
            let sources: [Arc<str>; 2] = ["orders".into(), "refunds".into()];
            let back = open(&staged(&story), 0, &sources).unwrap();
            prop_assert_eq!((back.due, back.input), (due, usize::from(second)));
            prop_assert_eq!(&**back.topic(), story.topic);
            prop_assert_eq!((back.partition(), back.offset(0), back.position(0)), (partition, offset, 3));
            prop_assert_eq!(back.timestamp(0), story.timestamp);
            prop_assert_eq!(back.earlier_attempts(), attempts);
            let mut own = Vec::new();
            back.headers(0, &mut |name, _| own.push(name.to_owned()));
            prop_assert_eq!(own, ["own"]);
        }
    }

    #[test]
    fn a_stranger_on_a_retry_topic_is_named() {
        let stranger: Chunk = Arc::new(OwnedRecord::default());
        let sources: [Arc<str>; 2] = ["orders".into(), "refunds".into()];
        let error = open(&stranger, 0, &sources).unwrap_err().to_string();
        assert!(error.contains("citizenk.retry.topic"), "{error}");
        let story = Story {
            due: 0,
            topic: "gone",
            partition: 0,
            offset: 0,
            timestamp: Timestamp::None,
            attempts: 1,
            stage: 1,
            reason: "x",
            agent: "a",
        };
        let error = open(&staged(&story), 0, &sources).unwrap_err().to_string();
        assert!(error.contains("topic `gone`"), "{error}");
        assert_eq!(open(&staged(&story), 0, &sources[..1]).unwrap().input, 0);
    }
}
