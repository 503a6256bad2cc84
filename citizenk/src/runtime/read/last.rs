//! The newest records, found from the end backwards.
//!
//! Not every offset has a record, so a window before the end is read, then one before it that is larger,
//! until every partition has given what is wanted or has no more.

use std::collections::VecDeque;

use futures_util::StreamExt;

use super::bounds::{Bound, Bounds};
use super::{Job, Span};
use crate::extract::{Found, ReadError};
use crate::record::Chunk;

/// How much larger a window is than the one behind it.
const GROWTH: u64 = 4;
/// The second window has at least so many offsets.
const SECOND: u64 = 256;

/// A partition's newest records so far.
#[derive(Debug)]
struct Tail {
    partition: i32,
    low: i64,
    /// Everything from here on has been read.
    read: i64,
    window: u64,
    records: VecDeque<(Chunk, usize)>,
}

impl Tail {
    fn new(bound: &Bound, count: u64) -> Self {
        Self {
            partition: bound.partition,
            low: bound.low,
            read: bound.to,
            window: count,
            records: VecDeque::new(),
        }
    }

    /// The next window to read; `None`: it has enough, or there is no more.
    fn next(&self, count: u64) -> Option<Span> {
        if self.records.len() as u64 >= count || self.read <= self.low {
            return None;
        }
        let size = i64::try_from(self.window).unwrap_or(i64::MAX);
        Some(Span {
            partition: self.partition,
            from: self.read.saturating_sub(size).max(self.low),
            to: Some(self.read),
        })
    }

    /// Puts what a window gave before what is there, the oldest of it left out where it is too much.
    fn add(&mut self, from: i64, mut found: VecDeque<(Chunk, usize)>, count: u64) {
        while found.len() as u64 + self.records.len() as u64 > count && found.pop_front().is_some()
        {
        }
        found.append(&mut self.records);
        self.records = found;
        self.read = from;
        self.window = self.window.saturating_mul(GROWTH).max(SECOND);
    }
}

/// `count` records of each partition, or over all of them.
pub(super) async fn find(
    job: &Job,
    bounds: &Bounds,
    count: u64,
    over_all: bool,
) -> Result<Vec<Found>, ReadError> {
    let tails = bounds.all.iter().map(|bound| Tail::new(bound, count));
    let mut tails: Vec<Tail> = tails.collect();
    loop {
        let spans: Vec<Span> = tails.iter().filter_map(|tail| tail.next(count)).collect();
        if spans.is_empty() {
            break;
        }
        let mut found: Vec<VecDeque<(Chunk, usize)>> = vec![VecDeque::new(); spans.len()];
        let mut items = job.read(spans.clone(), false)?;
        while let Some(item) = items.next().await {
            // What is deleted meanwhile is no longer among the newest.
            let Found::Records(chunk, range) = item? else {
                continue;
            };
            let place = spans
                .iter()
                .position(|span| span.partition == chunk.partition());
            if let Some(found) = place.and_then(|place| found.get_mut(place)) {
                for index in range {
                    if found.len() as u64 >= count {
                        found.pop_front();
                    }
                    found.push_back((chunk.clone(), index));
                }
            }
        }
        for (span, found) in spans.iter().zip(found) {
            if let Some(tail) = tails
                .iter_mut()
                .find(|tail| tail.partition == span.partition)
            {
                tail.add(span.from, found, count);
            }
        }
    }
    let each: Vec<_> = tails.into_iter().map(|tail| tail.records).collect();
    let records = if over_all {
        newest(each, count)
    } else {
        each.into_iter().flatten().collect()
    };
    let found = records.into_iter();
    Ok(found
        .map(|(chunk, index)| Found::Records(chunk, index..index + 1))
        .collect())
}

/// Takes the newest from the ends, so that each partition keeps its order whatever its timestamps are.
fn newest(mut each: Vec<VecDeque<(Chunk, usize)>>, count: u64) -> VecDeque<(Chunk, usize)> {
    let time = |(chunk, index): &(Chunk, usize)| chunk.timestamp(*index).millis();
    let mut newest = VecDeque::new();
    while (newest.len() as u64) < count {
        let youngest = each
            .iter_mut()
            .filter(|records| !records.is_empty())
            .max_by_key(|records| records.back().map(time));
        let Some(record) = youngest.and_then(VecDeque::pop_back) else {
            break;
        };
        newest.push_front(record);
    }
    newest
}
