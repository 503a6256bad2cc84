//! Lanes and their partition under every order of settling, rebalances and seeks included.
//!
//! `PROPTEST_CASES=1000000` runs as many cases; `cargo xtask faults --row W18` does so.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::*;

#[test]
fn the_position_waits_for_the_oldest_span() {
    let mut tracker = AckTracker::at(Some(5));
    let (a, b, c) = (tracker.open(7), tracker.open(9), tracker.open(20));
    tracker.settle(c);
    tracker.settle(b);
    assert_eq!(tracker.position(), Some(5));
    tracker.settle(a);
    assert_eq!(tracker.position(), Some(21));
    tracker.settle(a);
    assert_eq!((tracker.position(), tracker.outstanding()), (Some(21), 0));
}

/// What happens to a partition.
#[derive(Clone, Debug)]
enum Op {
    /// Records arrive: so many offsets that are none (ends of transactions, aborted or compacted ones)
    /// before each. Lane by lane, bit `n` says whether a span ends with record `n`.
    Fetch {
        gaps: Vec<u8>,
        spans: [u8; LANES],
    },
    /// A span settles, of this assignment or of one before; perhaps for the second time.
    Settle(prop::sample::Index),
    Commit,
    /// The partition is taken away: after a last commit, or without notice.
    Revoke {
        lost: bool,
    },
    /// It comes back, where the group is or where somebody has set it.
    Assign(Option<prop::sample::Index>),
}

const LANES: usize = 2;

fn op() -> impl Strategy<Value = Op> {
    let fetch = (prop::collection::vec(0..3_u8, 1..6), any::<[u8; LANES]>());
    prop_oneof![
        3 => fetch.prop_map(|(gaps, spans)| Op::Fetch { gaps, spans }),
        8 => any::<prop::sample::Index>().prop_map(Op::Settle),
        3 => Just(Op::Commit),
        1 => any::<bool>().prop_map(|lost| Op::Revoke { lost }),
        2 => prop::option::weighted(0.2, any::<prop::sample::Index>()).prop_map(Op::Assign),
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..40)
}

/// What a runtime could do wrong: the test has to find each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// Lanes of a new assignment keep the trackers of the one before.
    KeptTrackers,
    /// The fastest lane counts.
    Fastest,
    /// A span that is settled counts although an earlier one is open.
    Gap,
}

/// One time the partition is ours.
struct Assignment {
    acks: Vec<Arc<LaneAck>>,
    next: i64,
    /// By lane: the spans in order, and whether they are settled. Kept apart from what is tested.
    spans: [Vec<(i64, bool)>; LANES],
    start: i64,
}

impl Assignment {
    /// What the trackers say.
    fn position(&self, mistake: Mistake) -> i64 {
        let mut positions = self.acks.iter().map(|ack| ack.position());
        let read = Some(self.next);
        let position = match mistake {
            Mistake::Fastest => positions.max().map(|fastest| fastest.min(read)),
            _ => lowest(&mut positions, read),
        };
        position.flatten().expect("a start that is known")
    }

    /// What they should say: the lowest offset that some lane has not settled.
    fn expected(&self) -> i64 {
        let settled = |spans: &Vec<(i64, bool)>| {
            let done = spans.iter().take_while(|(_, settled)| *settled);
            done.last().map_or(self.start, |(through, _)| through + 1)
        };
        self.spans.iter().map(settled).min().unwrap_or(self.start)
    }
}

/// Which assignment, which lane, which of its spans.
type Opened = (usize, usize, usize, Ticket);

fn play(ops: &[Op], mistake: Mistake) -> Result<(), TestCaseError> {
    let assign = |start: i64, before: Option<&Assignment>| {
        let fresh = || Arc::new(LaneAck::at(Some(start)));
        Assignment {
            acks: match before.filter(|_| mistake == Mistake::KeptTrackers) {
                Some(before) => before.acks.clone(),
                None => (0..LANES).map(|_| fresh()).collect(),
            },
            next: start,
            spans: Default::default(),
            start,
        }
    };
    let mut all = vec![assign(0, None)];
    let mut owned = true;
    let mut opened: Vec<Opened> = Vec::new();
    // The log as far as it was read, and what each lane has done of it, whenever that was.
    let mut log: BTreeSet<i64> = BTreeSet::new();
    let mut done: [BTreeSet<i64>; LANES] = Default::default();
    let (mut end, mut committed) = (0, 0);
    for op in ops {
        let (at, current) = (all.len() - 1, all.len() - 1);
        let before = all[current].position(mistake);
        match op {
            Op::Fetch { gaps, spans } if owned => {
                let state = &mut all[current];
                let mut records: Vec<i64> = log.range(state.next..).copied().collect();
                if records.is_empty() {
                    for gap in gaps {
                        end += i64::from(*gap);
                        records.push(end);
                        end += 1;
                    }
                    log.extend(&records);
                }
                records.truncate(8);
                let last = records.len() - 1;
                for (lane, ends) in spans.iter().enumerate() {
                    for (index, offset) in records.iter().enumerate() {
                        if index == last || ends >> index & 1 == 1 {
                            let ticket = state.acks[lane].open(*offset);
                            opened.push((at, lane, state.spans[lane].len(), ticket));
                            state.spans[lane].push((*offset, false));
                        }
                    }
                }
                state.next = records[last] + 1;
            }
            Op::Settle(index) if !opened.is_empty() => {
                let (of, lane, span, ticket) = opened[index.index(opened.len())];
                let state = &mut all[of];
                state.acks[lane].settle(ticket);
                if mistake == Mistake::Gap {
                    for earlier in opened
                        .iter()
                        .filter(|earlier| earlier.0 == of && earlier.1 == lane && earlier.2 < span)
                    {
                        state.acks[lane].settle(earlier.3);
                    }
                }
                let from = match span.checked_sub(1) {
                    Some(before) => state.spans[lane][before].0 + 1,
                    None => state.start,
                };
                state.spans[lane][span].1 = true;
                done[lane].extend(log.range(from..=ticket.through));
                if of != current {
                    let now = all[current].position(mistake);
                    prop_assert_eq!(
                        now,
                        before,
                        "a lane of an earlier assignment moved the position"
                    );
                }
            }
            Op::Commit if owned => committed = committed.max(before),
            Op::Revoke { lost } if owned => {
                if !lost {
                    committed = committed.max(before);
                }
                owned = false;
            }
            Op::Assign(seek) if !owned => {
                if let Some(seek) = seek {
                    // Somebody has set the group back.
                    committed =
                        i64::try_from(seek.index(usize::try_from(committed).unwrap_or(0) + 1))
                            .unwrap_or(0);
                }
                all.push(assign(committed, all.last()));
                owned = true;
            }
            _ => {}
        }
        let state = &all[all.len() - 1];
        prop_assert_eq!(state.position(mistake), state.expected());
        for lane in &done {
            let left = log.range(..committed).find(|offset| !lane.contains(offset));
            prop_assert_eq!(left, None, "committed up to {}", committed);
        }
    }
    // In the end everything settles, and the position is the end.
    let current = all.len() - 1;
    for (of, lane, _, ticket) in &opened {
        all[*of].acks[*lane].settle(*ticket);
    }
    prop_assert_eq!(all[current].position(mistake), all[current].next);
    Ok(())
}

proptest! {
    /// Whatever the order of settling, whatever comes and goes: the position is the lowest offset that a
    /// lane of this assignment has not settled, no assignment before moves it, and nothing is committed
    /// that was not done.
    #[test]
    fn never_passes_an_unsettled_span(ops in ops()) {
        play(&ops, Mistake::None)?;
    }
}

#[test]
fn every_mistake_is_found() {
    for mistake in [Mistake::KeptTrackers, Mistake::Fastest, Mistake::Gap] {
        let mut runner = TestRunner::deterministic();
        let found = runner.run(&ops(), |ops| play(&ops, mistake));
        assert!(found.is_err(), "{mistake:?}");
    }
}
