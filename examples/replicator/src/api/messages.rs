//! Records of any topic, for debugging: no group, no commit.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use citizenk::prelude::*;
use citizenk::{Position, Read, ReadError, Reader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::filter::{Filter, Scratch, Verdict};
use crate::domain::{HeaderList, Record, base64, lines};
use crate::engine::Engine;

/// Which records.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Wanted {
    /// `source` or `target`.
    cluster: String,
    /// The topic.
    topic: String,
    /// Only this partition.
    partition: Option<i32>,
    /// `latest`, `earliest`, `offset:N`, `timestamp:T` (milliseconds or RFC 3339), or `-N`: the last N.
    from: String,
    /// At most so many, up to 10000.
    limit: usize,
    /// A JMESPath expression.
    filter: Option<String>,
    /// How long to look, up to 60000.
    timeout_ms: u64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            cluster: "source".to_owned(),
            topic: String::new(),
            partition: None,
            from: "-20".to_owned(),
            limit: 100,
            filter: None,
            timeout_ms: 5_000,
        }
    }
}

/// A record, as it stands in a file of records.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Message {
    /// JSON that is passed on as it is: no number is rounded and no name lost.
    #[schemars(with = "serde_json::Value")]
    line: Box<RawValue>,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Messages {
    /// The records; `value_b64` and `key_b64` are bytes that are no JSON and no text.
    messages: Vec<Message>,
    /// How many records were looked at.
    scanned: usize,
    /// For how many the filter had no answer.
    filter_errors: usize,
    /// There are more: than `limit`, or than an answer may hold (32 MiB).
    truncated: bool,
    /// Why there are more, where there are.
    cut: Option<String>,
    /// The time was over before the end.
    timed_out: bool,
    /// How long it took.
    elapsed_ms: u64,
}

/// A record that was read.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: HeaderList,
}

impl Taken {
    fn of(event: &Event<Option<RawBytes>>) -> Self {
        let headers = event.headers();
        Self {
            topic: event.topic().to_owned(),
            partition: event.partition(),
            offset: event.offset(),
            timestamp: event.timestamp().millis(),
            key: event.key_bytes().map(<[u8]>::to_vec),
            value: event.value.as_ref().map(|value| value.0.clone()),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    pub(crate) fn view(&self) -> Record<'_> {
        Record {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }

    /// As a line of a file, without its end.
    fn line(&self) -> String {
        let mut line = Vec::new();
        lines::write(&self.view(), &mut line);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    pub(crate) fn message(&self) -> Message {
        // A line is JSON.
        let line = RawValue::from_string(self.line()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Message { line }
    }
}

/// Bytes in an answer: text where they are.
pub(crate) fn shown(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("base64:{}", base64::encode(bytes)),
    })
}

/// Of the records of one answer, whatever limit was asked for.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// Nothing at all was read of a cluster.
fn silent(cluster: &str, why: impl std::fmt::Display) -> Problem {
    let detail = format!("the {cluster} cluster does not answer: {why}");
    Problem::unavailable(detail, Duration::from_secs(5)).with("cluster", cluster)
}

/// Why a read gave nothing.
fn nothing(cluster: &str, error: ReadError) -> Problem {
    match &error {
        ReadError::Silent { .. } => silent(cluster, error),
        ReadError::Transport { source, .. } if source.retriable => silent(cluster, error),
        _ => error.into(),
    }
}

/// The last records of a topic.
pub(crate) async fn last(
    reader: &Reader,
    cluster: &str,
    topic: &str,
    count: usize,
) -> Result<Vec<Taken>, Problem> {
    let reader = reader
        .on(cluster)
        .map_err(|error| Problem::not_found(error.to_string()))?;
    let read = reader
        .raw(topic)
        .last(count as u64)
        .patience(Duration::from_secs(5))
        .stream()
        .all();
    let found = read.await.map_err(|error| nothing(cluster, error))?;
    Ok(found.iter().map(Taken::of).collect())
}

fn read(reader: &Reader, wanted: &Wanted, live: bool) -> Result<Read<Option<RawBytes>>, Problem> {
    let field = |error: String, field: &str| Problem::unprocessable(error).field(field.to_owned());
    if wanted.topic.is_empty() {
        return Err(field("say which topic".to_owned(), "topic"));
    }
    let reader = reader
        .on(&wanted.cluster)
        .map_err(|error| field(error.to_string(), "cluster"))?;
    let mut read = reader.raw(&wanted.topic);
    if let Some(partition) = wanted.partition {
        read = read.partition(partition);
    }
    let unknown = || {
        let forms = "latest, earliest, offset:N, timestamp:T or -N";
        field(format!("`{}` is none of {forms}", wanted.from), "from")
    };
    let from = wanted.from.trim();
    read = match from.split_once(':') {
        None if from == "latest" => read.from(Position::Latest),
        None if from == "earliest" => read.from(Position::Earliest),
        None => {
            let count: u64 = from
                .strip_prefix('-')
                .and_then(|count| count.parse().ok())
                .ok_or_else(unknown)?;
            read.last(count.min(10_000))
        }
        Some(("offset", offset)) => {
            read.from(Position::Offset(offset.parse().map_err(|_| unknown())?))
        }
        Some(("timestamp", time)) => {
            let millis = time.parse().ok().and_then(DateTime::from_timestamp_millis);
            let time = millis.or_else(|| time.parse::<DateTime<Utc>>().ok());
            read.from(Position::Time(time.ok_or_else(unknown)?))
        }
        Some(_) => return Err(unknown()),
    };
    Ok(if live {
        read.follow()
    } else {
        read.patience(Duration::from_millis(wanted.timeout_ms.clamp(1, 60_000)))
    })
}

/// Records of a topic of either cluster. No group is joined and nothing is committed.
///
/// What was found when the time is over is answered with `timed_out`; 503, when that is nothing because the cluster
/// does not answer. With `Accept: text/event-stream` they come as they are written, until the client goes.
#[citizenk::route(get = "/messages")]
pub(crate) async fn messages(
    State(_engine): State<Engine>,
    reader: Reader,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let filter = wanted
        .filter
        .as_deref()
        .filter(|text| !text.trim().is_empty())
        .map(Filter::compile)
        .transpose();
    let filter =
        filter.map_err(|error| Problem::unprocessable(error.to_string()).field("filter"))?;
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let live = accepts.is_some_and(|types| types.contains("text/event-stream"));
    let mut stream = read(&reader, &wanted, live)?.stream();
    if live {
        let events =
            futures_util::stream::unfold((stream, filter), async |(mut stream, filter)| {
                loop {
                    let event = match stream.next().await? {
                        Ok(event) => event,
                        Err(error) => {
                            let event =
                                SseEvent::default().event("problem").data(error.to_string());
                            return error
                                .is_final()
                                .then_some((Ok::<_, Infallible>(event), (stream, filter)));
                        }
                    };
                    let taken = Taken::of(&event);
                    let mut scratch = Scratch::default();
                    let keep = filter.as_ref().is_none_or(|filter| {
                        filter.judge(&taken.view(), &mut scratch) == Verdict::Keep
                    });
                    if keep {
                        return Some((
                            Ok(SseEvent::default().data(taken.line())),
                            (stream, filter),
                        ));
                    }
                }
            });
        return Ok(Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response());
    }
    let begun = tokio::time::Instant::now();
    let patience = Duration::from_millis(wanted.timeout_ms.clamp(1, 60_000));
    let end = begun + patience;
    let limit = wanted.limit.clamp(1, 10_000);
    let mut found = Messages {
        messages: Vec::new(),
        scanned: 0,
        filter_errors: 0,
        truncated: false,
        cut: None,
        timed_out: false,
        elapsed_ms: 0,
    };
    let (mut scratch, mut bytes) = (Scratch::default(), 0);
    loop {
        let event = match tokio::time::timeout_at(end, stream.next()).await {
            Err(_) | Ok(Some(Err(ReadError::Silent { .. }))) if found.scanned == 0 => {
                let topic = &wanted.topic;
                let why = format!(
                    "no record of `{topic}` came within {patience:?}; `timeout_ms` may be up to 60000"
                );
                return Err(silent(&wanted.cluster, why));
            }
            Err(_) => {
                found.timed_out = true;
                break;
            }
            Ok(None) => break,
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) if !error.is_final() => continue,
            // What came is not kept back for what does not.
            Ok(Some(Err(ReadError::Silent { .. }))) => {
                found.timed_out = true;
                break;
            }
            Ok(Some(Err(error))) => return Err(nothing(&wanted.cluster, error)),
        };
        found.scanned += 1;
        let taken = Taken::of(&event);
        let verdict = filter.as_ref().map_or(Verdict::Keep, |filter| {
            filter.judge(&taken.view(), &mut scratch)
        });
        match verdict {
            Verdict::Keep if found.messages.len() == limit => {
                (found.truncated, found.cut) = (true, Some(format!("`limit` is {limit}")));
                break;
            }
            Verdict::Keep => {
                let message = taken.message();
                bytes += message.line.get().len();
                if bytes > MOST_BYTES {
                    let place = format!("{}/{}@{}", taken.topic, taken.partition, taken.offset);
                    let cut = format!("with {place} the answer would be above 32 MiB");
                    (found.truncated, found.cut) = (true, Some(cut));
                    break;
                }
                found.messages.push(message);
            }
            Verdict::Drop => {}
            Verdict::Undecodable(_) | Verdict::Failed(_) => found.filter_errors += 1,
        }
    }
    found.elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(axum::Json(found).into_response())
}
