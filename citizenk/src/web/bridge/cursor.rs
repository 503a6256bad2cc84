//! One client's place in a topic.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::BridgeTopic;
use super::hub::{Hub, place_of};
use super::places::Places;
use super::wire::{Item, mark, record, unreadable};
use crate::agent::Event;
use crate::extract::{Env, Extent, Offsets, Position, ReadError, Reader, RecordStream};
use crate::fanout::{Gap, Step as Frames, Subscriber};
use crate::telemetry::StreamMetrics;
use crate::web::{Problem, Query};

/// At most this many records at a time, so that pings and goodbyes are not late.
const AT_ONCE: usize = 32;

/// Where a client wants to begin.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    At(Position),
    /// Where it was.
    Resumed(Places),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    from: Option<String>,
}

impl Wanted {
    /// What the request says; from now on, if nothing.
    pub(super) fn of(parts: &Parts, now: DateTime<Utc>) -> Result<Self, Problem> {
        let (last, query) = crate::web::stream::asked(&parts.headers, &parts.uri);
        let Query(asked) = Query::<Asked>::of_text(&query)?;
        if let Some(last) = last {
            let places = last.parse::<Places>();
            let wrong = |error: super::places::NoPlaces| Problem::bad_request(error.to_string());
            let places = places.map_err(|error| wrong(error).field("last_event_id"))?;
            return Ok(Self::Resumed(places));
        }
        let from = asked.from.as_deref().unwrap_or("latest");
        let position = Position::parse(from, now);
        let wrong = |error| Problem::bad_request(format!("query parameter `from`: {error}"));
        Ok(Self::At(
            position.map_err(|error| wrong(error).field("from"))?,
        ))
    }
}

/// What a client gets next.
#[derive(Debug)]
pub(super) enum Step {
    Items(Vec<Item>),
    /// There is nothing more to come here, which the log gives the reason of; a client that comes again may find
    /// more.
    Ended,
}

pub(super) struct Cursor {
    topic: Arc<BridgeTopic>,
    reader: Reader,
    hub: Arc<Hub>,
    /// What is to be given next.
    next: Places,
    gap: Option<Gap>,
    state: State,
}

enum State {
    /// Reads by itself up to where the hub was.
    Behind(Box<Behind>),
    /// Gets what the hub reads; `ahead`: some of it the client has had.
    Live { subscriber: Subscriber, ahead: bool },
}

struct Behind {
    records: RecordStream<Option<Bytes>>,
    to: Places,
    /// What the hub gives from there on, as long as it keeps it.
    then: Subscriber,
    /// One of the few that read by themselves.
    _permit: OwnedSemaphorePermit,
}

impl Cursor {
    /// Finds the place, and a consumer of its own if the client is behind; 503 if there is none left.
    pub(super) async fn open(
        topic: Arc<BridgeTopic>,
        env: &Env,
        hub: Arc<Hub>,
        wanted: Wanted,
        pool: &Arc<Semaphore>,
    ) -> Result<Self, Problem> {
        let reader = env.reader.clone();
        let read = || (topic.read)(&reader);
        let (next, gap) = match &wanted {
            Wanted::At(Position::Latest) => (None, None),
            Wanted::At(position) => {
                let extents = read().from(*position).extents().await?;
                (Some(from(&extents)), None)
            }
            Wanted::Resumed(last) => {
                let extents = read().each_from(last.0.clone()).extents().await?;
                (Some(from(&extents)), missing(last, &extents))
            }
        };
        let (subscriber, at) = hub.join();
        let next = next.unwrap_or_else(|| at.clone());
        let state = if next.reached(&at) {
            let ahead = !at.reached(&next);
            State::Live { subscriber, ahead }
        } else {
            let permit = pool.clone().try_acquire_owned().map_err(|full| match full {
                TryAcquireError::NoPermits | TryAcquireError::Closed => Problem::unavailable(
                    "too many clients are reading what was written before they came; try again, or read from now on",
                    Duration::from_secs(5),
                ),
            })?;
            State::Behind(Box::new(Behind {
                records: up_to(&topic, &reader, &next, &at),
                to: at,
                then: subscriber,
                _permit: permit,
            }))
        };
        let metrics = hub.shared.stream.metrics();
        metrics.missed(gap.and_then(|gap| gap.missed).unwrap_or(0));
        Ok(Self {
            topic,
            reader,
            hub,
            next,
            gap,
            state,
        })
    }

    /// The topic's name in the program.
    pub(super) fn topic(&self) -> &'static str {
        self.topic.info.name
    }

    /// What is to be given next.
    pub(super) fn at(&self) -> &Places {
        &self.next
    }

    pub(super) fn metrics(&self) -> &StreamMetrics {
        self.hub.shared.stream.metrics()
    }

    /// Waits for something to give. Dropped on the way it loses nothing.
    pub(super) async fn step(&mut self) -> Step {
        if let Some(gap) = self.gap.take() {
            return Step::Items(vec![Item::Gap(gap)]);
        }
        loop {
            let items = match &mut self.state {
                State::Behind(behind) => {
                    let first = behind.records.next().await;
                    match self.own(first) {
                        Ok(items) => items,
                        Err(ended) => return ended,
                    }
                }
                State::Live { subscriber, ahead } => {
                    let step = tokio::select! {
                        biased;
                        step = subscriber.step() => step,
                        () = self.hub.shared.ended() => return Step::Ended,
                    };
                    match step {
                        Frames::TooSlow => return Step::Ended,
                        Frames::Next { gap, frames } => {
                            let next = ahead.then_some(&self.next);
                            let frames = frames.into_iter().map(|(_, frame)| frame);
                            // What the client had from another worker, which was further.
                            let had = |frame: &Arc<_>| match (next, mark(frame)) {
                                (Some(next), Some(mark)) => mark.offset < next.of(mark.partition),
                                _ => false,
                            };
                            let frames = frames.filter(|frame| !had(frame)).map(Item::Shared);
                            gap.map(Item::Gap).into_iter().chain(frames).collect()
                        }
                    }
                }
            };
            if !items.is_empty() {
                return Step::Items(items);
            }
        }
    }

    /// What a read of its own found, and more that is there; at its end goes on, in turn.
    fn own(
        &mut self,
        first: Option<Result<Event<Option<Bytes>>, ReadError>>,
    ) -> Result<Vec<Item>, Step> {
        let mut items = Vec::new();
        let mut found = first;
        loop {
            match found {
                None => {
                    self.go_on();
                    return Ok(items);
                }
                Some(found) => items.push(self.item(found)?),
            }
            let State::Behind(behind) = &mut self.state else {
                return Ok(items);
            };
            if items.len() == AT_ONCE {
                return Ok(items);
            }
            match behind.records.next().now_or_never() {
                Some(next) => found = next,
                None => return Ok(items),
            }
        }
    }

    fn item(&mut self, found: Result<Event<Option<Bytes>>, ReadError>) -> Result<Item, Step> {
        let (partition, offset, json) = match found {
            Ok(event) => {
                let json = record(&event);
                (event.partition(), event.offset(), json)
            }
            Err(error) => match (place_of(&error), &error) {
                (Some((partition, offset)), _) => {
                    let json = unreadable(partition, offset, &error);
                    (partition, offset, json)
                }
                (
                    None,
                    ReadError::Deleted {
                        partition,
                        from,
                        to,
                        ..
                    },
                ) => {
                    self.next.reach(*partition, *to);
                    let missed = u64::try_from(to - from).ok();
                    self.metrics().missed(missed.unwrap_or(0));
                    return Ok(Item::Gap(Gap { missed }));
                }
                (None, _) => {
                    let topic = self.topic.info.name;
                    tracing::warn!(%error, topic, "a client of a bridge has to come again");
                    return Err(Step::Ended);
                }
            },
        };
        self.next.passed(partition, offset);
        let id = self.next.to_string();
        Ok(Item::Own { json, id })
    }

    /// The read of its own is over: goes on with what the hub gave meanwhile, or reads on if that is not kept.
    fn go_on(&mut self) {
        let State::Behind(behind) = &mut self.state else {
            return;
        };
        for (partition, next) in &behind.to.0 {
            self.next.reach(*partition, *next);
        }
        let mut from = &behind.to;
        let (fresh, at) = self.hub.join();
        let kept = std::mem::replace(&mut behind.then, fresh);
        if kept.is_whole() {
            behind.then = kept;
        } else if self.next.reached(&at) {
            from = &at;
        } else {
            behind.records = up_to(&self.topic, &self.reader, &self.next, &at);
            behind.to = at;
            return;
        }
        let ahead = !from.reached(&self.next);
        let subscriber = behind.then.clone();
        self.state = State::Live { subscriber, ahead };
    }
}

fn up_to(
    topic: &BridgeTopic,
    reader: &Reader,
    next: &Places,
    to: &Places,
) -> RecordStream<Option<Bytes>> {
    let read = (topic.read)(reader).each_from(next.0.clone());
    read.each_to(to.0.clone()).stream()
}

type Extents = std::collections::BTreeMap<i32, Extent>;

fn from(extents: &Extents) -> Places {
    let from = extents.iter().map(|(id, extent)| (*id, extent.from));
    Places(from.collect::<Offsets>())
}

/// What a client that comes back cannot get any more.
fn missing(last: &Places, extents: &Extents) -> Option<Gap> {
    let mut missed = 0;
    for (partition, next) in &last.0 {
        match extents.get(partition) {
            // The topic is not the one it was.
            None => return Some(Gap { missed: None }),
            Some(extent) if *next > extent.high => return Some(Gap { missed: None }),
            Some(extent) => missed += u64::try_from(extent.low - next).unwrap_or(0),
        }
    }
    (missed > 0).then_some(Gap {
        missed: Some(missed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(last: &str, low: i64, high: i64) -> Option<Option<u64>> {
        let extent = Extent {
            low,
            from: low,
            high,
        };
        let last: Places = last.parse().unwrap();
        missing(&last, &[(0, extent)].into()).map(|gap| gap.missed)
    }

    #[test]
    fn what_is_gone_or_of_another_topic_is_a_gap() {
        assert_eq!(missed("p0:5", 5, 9), None);
        assert_eq!(missed("p0:9", 5, 9), None);
        assert_eq!(missed("p0:2", 5, 9), Some(Some(3)));
        assert_eq!(missed("p0:10", 5, 9), Some(None), "a place that is not yet");
        assert_eq!(
            missed("p0:5,p1:0", 5, 9),
            Some(None),
            "a partition that is not"
        );
    }
}
