//! What the positions of a request mean, at the moment the read begins.

use super::{ANSWER, Job, Span};
use crate::extract::{Begin, Offsets, Position, ReadError, ReadRequest};
use crate::transport::Spot;

/// One partition's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) partition: i32,
    /// The first offset that is kept.
    pub(super) low: i64,
    pub(super) from: i64,
    /// Behind the last offset to read.
    pub(super) to: i64,
    /// The end.
    pub(super) high: i64,
}

#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) all: Vec<Bound>,
    /// Partition, the first offset that was asked for and is gone, and the first that is not.
    pub(super) deleted: Vec<(i32, i64, i64)>,
}

impl Bounds {
    pub(super) fn spans(&self, follow: bool) -> Vec<Span> {
        let span = |bound: &Bound| Span {
            partition: bound.partition,
            from: bound.from,
            to: (!follow).then_some(bound.to),
        };
        self.all.iter().map(span).collect()
    }

    /// From the end on, for ever.
    pub(super) fn behind(&self) -> Vec<Span> {
        let span = |bound: &Bound| Span {
            partition: bound.partition,
            from: bound.to,
            to: None,
        };
        self.all.iter().map(span).collect()
    }
}

/// Asks the cluster. Blocks the thread.
pub(super) fn find(job: &Job, request: &ReadRequest) -> Result<Bounds, ReadError> {
    let topic = || job.topic.to_string();
    let known = job.reads.transport.topics(Some(&job.topic), ANSWER);
    let known = known.map_err(|error| job.failed(error))?;
    let count = known
        .iter()
        .find(|known| *known.name == *job.topic)
        .map_or(0, |known| known.partitions);
    if count == 0 {
        return Err(ReadError::NoSuchTopic { topic: topic() });
    }
    let numbers = 0..i32::try_from(count).unwrap_or(i32::MAX);
    if let Some(partition) = request.partitions.iter().find(|id| !numbers.contains(id)) {
        return Err(ReadError::NoSuchPartition {
            topic: topic(),
            partition: *partition,
            partitions: count,
        });
    }
    let partitions: Vec<i32> = numbers
        .filter(|id| request.partitions.is_empty() || request.partitions.contains(id))
        .collect();
    let lows = job.offsets(&partitions, Spot::Beginning)?;
    let highs = job.offsets(&partitions, Spot::End)?;
    let from = match request.begin {
        Begin::At(position) => position,
        Begin::Each(_) | Begin::Last(_) | Begin::LastEach(_) => Position::Earliest,
    };
    let each = match &request.begin {
        Begin::Each(offsets) => Some(&**offsets),
        _ => None,
    };
    let named = |offsets: Option<&Offsets>, partition: i32| {
        let offset = offsets.and_then(|offsets| offsets.get(&partition).copied());
        offset.map(Position::Offset)
    };
    // A read that goes on has no other end than what was there when it began.
    let to = if request.follow {
        Position::Latest
    } else {
        request.to
    };
    let times = |position: Position| match position {
        Position::Time(time) => job.offsets(&partitions, Spot::Time(time.timestamp_millis())),
        _ => Ok(vec![None; partitions.len()]),
    };
    let (froms, tos) = (times(from)?, times(to)?);
    let ends = lows.into_iter().zip(highs).zip(froms.into_iter().zip(tos));
    let all = partitions
        .into_iter()
        .zip(ends)
        .map(|(partition, ((low, high), times))| {
            let low = low.unwrap_or(0);
            let high = high.unwrap_or(low).max(low);
            let from = named(each, partition).unwrap_or(from);
            let to = named(request.ends.as_deref(), partition).unwrap_or(to);
            Raw {
                partition,
                low,
                high,
                from: place(from, times.0, low, high),
                to: place(to, times.1, low, high),
            }
        });
    Ok(bounds(all))
}

/// Before it is known what of it exists.
struct Raw {
    partition: i32,
    low: i64,
    high: i64,
    from: i64,
    to: i64,
}

fn place(position: Position, by_time: Option<i64>, low: i64, high: i64) -> i64 {
    match position {
        Position::Earliest => low,
        Position::Latest => high,
        Position::Offset(offset) => offset.max(0),
        Position::Time(_) => by_time.unwrap_or(high),
    }
}

/// Within what exists. What was asked for below is reported, what was asked for above is not there yet.
fn bounds(all: impl Iterator<Item = Raw>) -> Bounds {
    let mut found = Bounds {
        all: Vec::new(),
        deleted: Vec::new(),
    };
    for raw in all {
        let gone = raw.low.min(raw.to);
        if raw.from < gone {
            found.deleted.push((raw.partition, raw.from, gone));
        }
        let from = raw.from.clamp(raw.low, raw.high);
        found.all.push(Bound {
            partition: raw.partition,
            low: raw.low,
            from,
            to: raw.to.clamp(from, raw.high),
            high: raw.high,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is read and what is reported as gone is what was asked for and exists, or has existed.
        #[test]
        fn bounds_are_within_what_exists(
            low in 0..50i64,
            size in 0..50i64,
            from in 0..120i64,
            to in 0..120i64,
        ) {
            let high = low + size;
            let raw = Raw { partition: 3, low, high, from, to };
            let found = bounds(std::iter::once(raw));
            let bound = found.all[0];
            let asked = |offset: &i64| (from..to).contains(offset);
            let read: Vec<i64> = (bound.from..bound.to).collect();
            let wanted: Vec<i64> = (low..high).filter(asked).collect();
            prop_assert_eq!(read, wanted);
            let gone: i64 = found.deleted.iter().map(|(_, from, to)| to - from).sum();
            prop_assert_eq!(gone, (0..low).filter(asked).count() as i64);
        }
    }
}
