//! Which lanes should run elsewhere: pure, from samples of what the workers were doing.
//!
//! All lanes begin on the first worker: a second thread costs more than it gives while one is enough
//! (measured: 18 % more CPU for the same records). A worker that was busy at nearly every look is
//! saturated; then half of what keeps it busy moves to the next worker that is not.

use std::collections::BTreeMap;

/// Looks that make one judgement.
pub(super) const WINDOW: u32 = 8;
/// Busy at this many of them: saturated.
const SATURATED: u32 = 7;
/// Busy at no more than this many: has room.
const HAS_ROOM: u32 = 4;

/// A lane's number, unique among the lanes of an executor.
pub(super) type LaneNumber = u64;

/// What one worker was seen doing during a window.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    busy: u32,
    /// How often each lane was the one that ran.
    lanes: BTreeMap<LaneNumber, u32>,
}

impl Seen {
    /// One look: which lane ran, if any.
    pub(super) fn look(&mut self, running: Option<LaneNumber>) {
        if let Some(lane) = running {
            self.busy += 1;
            *self.lanes.entry(lane).or_default() += 1;
        }
    }
}

/// A lane and the worker it should move to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) lane: LaneNumber,
    pub(super) to: usize,
}

/// What to move after a window.
pub(super) fn moves(workers: &[Seen]) -> Vec<Move> {
    let mut room = (0..workers.len()).filter(|worker| workers[*worker].busy <= HAS_ROOM);
    let mut moves = Vec::new();
    for seen in workers.iter().filter(|seen| seen.busy >= SATURATED) {
        // One lane that fills a worker would fill the other one as well.
        if seen.lanes.len() < 2 {
            continue;
        }
        let Some(to) = room.next() else { break };
        // Heaviest first, every second one: both sides get about the same.
        let mut lanes: Vec<(LaneNumber, u32)> = seen.lanes.clone().into_iter().collect();
        lanes.sort_by_key(|(lane, count)| (std::cmp::Reverse(*count), *lane));
        let every_second = lanes.iter().skip(1).step_by(2);
        moves.extend(every_second.map(|(lane, _)| Move { lane: *lane, to }));
    }
    moves
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(lanes: &[(LaneNumber, u32)]) -> Seen {
        let mut seen = Seen::default();
        for (lane, count) in lanes {
            (0..*count).for_each(|_| seen.look(Some(*lane)));
        }
        seen
    }

    #[test]
    fn a_second_worker_is_used_when_the_first_is_saturated() {
        let one = [seen(&[(1, 4), (2, 4)]), seen(&[])];
        assert_eq!(moves(&one), [Move { lane: 2, to: 1 }]);
        let not_busy = [seen(&[(1, 3), (2, 2)]), seen(&[])];
        assert_eq!(moves(&not_busy), []);
        let one_lane = [seen(&[(1, 8)]), seen(&[])];
        assert_eq!(moves(&one_lane), []);
        let no_room = [seen(&[(1, 4), (2, 4)]), seen(&[(3, 5)])];
        assert_eq!(moves(&no_room), []);
    }

    proptest! {
        #[test]
        fn what_moves_was_busy_and_goes_where_there_is_room(
            counts in prop::collection::vec(prop::collection::vec(0..9_u32, 0..6), 1..5),
        ) {
            let workers: Vec<Seen> = counts
                .iter()
                .enumerate()
                .map(|(worker, lanes)| {
                    let lanes: Vec<_> = lanes.iter().enumerate().filter(|(_, count)| **count > 0)
                        .map(|(lane, count)| ((worker * 10 + lane) as u64, *count)).collect();
                    seen(&lanes)
                })
                .collect();
            for Move { lane, to } in moves(&workers) {
                let from = (lane / 10) as usize;
                prop_assert!(workers[from].busy >= SATURATED && workers[to].busy <= HAS_ROOM);
                prop_assert!(workers[from].lanes.len() >= 2);
            }
        }
    }
}
