use std::collections::BTreeSet;

use proptest::prelude::*;

use super::again::{Held, repeated};
use super::*;
use crate::history::{Commit, End, Entry, Glimpse, Input, Output};

const STRICT: Rules = Rules {
    exactly_once: true,
    complete: true,
    settled: true,
    exclusive: true,
    resends: false,
};

/// A run without a fault: two partitions, two keys each, two workers one after the other.
fn good(records: usize, switch: usize) -> History {
    let mut history = History::default();
    let mut journals = [Vec::new(), Vec::new()];
    let mut time = 1_000_000;
    for (journal, time) in journals
        .iter_mut()
        .zip([1, 1_000_000 + 10_000 * switch as u64])
    {
        journal.push(Entry {
            deed: Deed::Assigned(vec![0, 1]),
            time,
        });
    }
    for number in 0..records {
        let partition = (number % 2) as i32;
        let place = Place::new(partition, (number / 2) as i64);
        let id = Id {
            producer: 1,
            seq: number as u64,
        };
        let input = Input {
            place,
            id,
            key: (number % 4) as u32,
        };
        let output = Output {
            place: Place::new(0, number as i64),
            id,
            source: place,
        };
        let journal = &mut journals[usize::from(number >= switch)];
        journal.push(Entry {
            deed: Deed::Start(input),
            time: time + 1000,
        });
        journal.push(Entry {
            deed: Deed::Done(input),
            time: time + 2000,
        });
        history.commits.push(Commit {
            partition,
            next: place.offset + 1,
            time: time + 4000,
        });
        history.glimpses.push(Glimpse {
            output,
            time: time + 6000,
        });
        history.sent.push(input);
        history.input.push(input);
        history.outputs.push(output);
        time += 10_000;
    }
    history.ends.push(End {
        partition: 0,
        stable: 9,
        high: 9,
    });
    history.journals = journals.into();
    history
}

fn broken(history: &History) -> BTreeSet<Invariant> {
    check(history, STRICT)
        .violations
        .iter()
        .map(|violation| violation.invariant)
        .collect()
}

/// The good history after `harm` violates exactly these.
fn catches(harm: impl FnOnce(&mut History), expected: &[Invariant]) {
    let mut history = good(40, 20);
    harm(&mut history);
    let expected: BTreeSet<Invariant> = expected.iter().copied().collect();
    assert_eq!(
        broken(&history),
        expected,
        "{:?}",
        check(&history, STRICT).violations
    );
}

#[test]
fn an_acknowledgement_without_an_offset_counts() {
    let nowhere = |history: &mut History| history.sent[7].place.offset = -1001;
    catches(nowhere, &[]);
    let lost = |history: &mut History| {
        nowhere(history);
        history.sent[7].id.seq = 1_000_000;
    };
    catches(lost, &[Invariant::LostWrite]);
}

#[test]
fn a_good_history_is_good() {
    catches(|_| {}, &[]);
    let verdict = check(&good(40, 20), STRICT);
    assert_eq!(
        (
            verdict.records,
            verdict.lost,
            verdict.duplicates,
            verdict.reruns
        ),
        (40, 0, 0, 0)
    );
}

#[test]
fn two_values_at_one_place() {
    catches(
        |history| history.sent[3].id.seq = 999,
        &[Invariant::Agreement],
    );
    catches(
        |history| history.glimpses[3].output.id.seq = 999,
        &[Invariant::Agreement],
    );
    catches(
        |history| {
            let Deed::Start(input) = &mut history.journals[0][1].deed else {
                panic!("a call begins")
            };
            input.id.seq = 999;
        },
        &[Invariant::Agreement],
    );
}

#[test]
fn an_acknowledged_record_that_is_gone() {
    let mut history = good(40, 20);
    history.sent.push(Input {
        place: Place::new(0, 20),
        id: Id {
            producer: 1,
            seq: 40,
        },
        key: 0,
    });
    assert_eq!(broken(&history), [Invariant::LostWrite].into());
    assert_eq!(check(&history, STRICT).lost, 1);
    // What retention deleted was not lost by us.
    history.low.insert(0, 21);
    assert_eq!(check(&history, STRICT).lost, 0);
}

#[test]
fn a_record_without_output() {
    catches(
        |history| {
            history.outputs.remove(5);
            history.glimpses.remove(5);
        },
        &[Invariant::LostWrite],
    );
}

#[test]
fn one_send_at_two_places() {
    catches(
        |history| {
            let (first, second) = (history.input[2].id, history.input[3].id);
            // Every observer agrees that the second place holds the first record.
            for input in history.input.iter_mut().chain(&mut history.sent) {
                if input.id == second {
                    input.id = first;
                }
            }
            for entry in history.journals.iter_mut().flatten() {
                if let Deed::Start(input) | Deed::Done(input) = &mut entry.deed
                    && input.id == second
                {
                    input.id = first;
                }
            }
            history.outputs.retain(|output| output.id != second);
            history
                .glimpses
                .retain(|glimpse| glimpse.output.id != second);
        },
        &[Invariant::DuplicateSend],
    );
}

#[test]
fn a_read_of_what_was_aborted() {
    catches(
        |history| {
            let mut ghost = history.glimpses[7];
            ghost.output.place = Place::new(5, 0);
            history.glimpses.push(ghost);
        },
        &[Invariant::AbortedRead],
    );
}

#[test]
fn a_read_before_the_commit() {
    catches(
        |history| history.glimpses[7].time -= 5000,
        &[Invariant::EarlyRead],
    );
}

#[test]
fn a_record_left_out_or_called_again_within_one_assignment() {
    catches(
        |history| {
            // The record was processed, but by the other worker.
            let taken: Vec<Entry> = history.journals[0].drain(5..7).collect();
            history.journals[1].splice(1..1, taken);
        },
        &[Invariant::PollOrder],
    );
    catches(
        |history| {
            let again: Vec<Entry> = history.journals[0][1..3].to_vec();
            history.journals[0].splice(3..3, again);
        },
        &[Invariant::PollOrder],
    );
}

#[test]
fn a_retry_is_not_a_second_call() {
    catches(
        |history| {
            let again = history.journals[0][1].clone();
            history.journals[0].insert(1, again);
        },
        &[],
    );
}

#[test]
fn work_that_was_never_committed() {
    catches(
        |history| {
            history.commits.pop();
            history.glimpses.pop();
        },
        &[Invariant::CatchUp],
    );
}

#[test]
fn a_commit_before_the_call_ended() {
    catches(
        |history| {
            let done = history.journals[0]
                .iter_mut()
                .find(|entry| matches!(entry.deed, Deed::Done(_)));
            done.expect("calls end").time += 8000;
        },
        &[Invariant::EarlyCommit],
    );
    catches(
        |history| history.commits[4].next += 1,
        &[Invariant::EarlyCommit],
    );
    catches(
        |history| {
            history.journals[1]
                .retain(|entry| !matches!(&entry.deed, Deed::Done(input) if input.id.seq == 39));
        },
        &[Invariant::EarlyCommit],
    );
}

#[test]
fn a_commit_that_goes_back() {
    catches(
        |history| {
            let mut old = history.commits[0];
            old.time = history.commits[8].time;
            history.commits.insert(9, old);
        },
        &[Invariant::CommitBack],
    );
}

#[test]
fn a_key_out_of_order() {
    catches(
        |history| {
            // The next record of the same key and partition begins before this one is done.
            let later = history.journals[0]
                .iter()
                .position(|entry| matches!(&entry.deed, Deed::Start(input) if input.id.seq == 4));
            let (begin, middle) = (1, later.expect("it is called"));
            let mut early = history.journals[0].remove(middle);
            early.time = history.journals[0][begin].time;
            let skipped = history.journals[0]
                .iter()
                .position(|entry| matches!(&entry.deed, Deed::Start(input) if input.id.seq == 2));
            let mut skipped = history.journals[0].remove(skipped.expect("it is called"));
            skipped.time = early.time;
            history.journals[0].insert(begin + 1, skipped);
            history.journals[0].insert(begin + 2, early);
        },
        &[Invariant::KeyOrder],
    );
}

#[test]
fn two_workers_at_one_key() {
    catches(
        |history| {
            let end = history.journals[0].len() - 1;
            // The last call of the first worker for this key ends after the second worker began.
            let Deed::Done(last) = history.journals[0][end].deed.clone() else {
                panic!("a call ends")
            };
            let next = history.journals[1]
                .iter()
                .find(|entry| matches!(&entry.deed, Deed::Start(input) if input.key == last.key));
            history.journals[0][end].time = next.expect("the key goes on").time + 10;
            for commit in &mut history.commits {
                commit.time += 500_000;
            }
            for glimpse in &mut history.glimpses {
                glimpse.time += 1_000_000;
            }
        },
        &[Invariant::TwoOwners],
    );
}

#[test]
fn an_output_twice_or_out_of_nothing() {
    catches(
        |history| {
            let mut second = history.outputs[39];
            second.place.offset = 40;
            history.outputs.push(second);
        },
        &[Invariant::ExactOutput],
    );
    catches(
        |history| {
            let mut ghost = history.outputs[39];
            ghost.place.offset = 40;
            ghost.id.seq = 999;
            history.outputs.push(ghost);
        },
        &[Invariant::ExactOutput],
    );
}

#[test]
fn outputs_out_of_order() {
    catches(
        |history| {
            let (first, third) = (history.outputs[0].place, history.outputs[2].place);
            for (index, place) in [(0, third), (2, first)] {
                history.outputs[index].place = place;
                history.glimpses[index].output.place = place;
            }
        },
        &[Invariant::OutputOrder],
    );
}

#[test]
fn a_damaged_record_in_a_handler() {
    catches(
        |history| {
            history.journals[0].push(Entry {
                deed: Deed::Corrupt(Place::new(0, 1)),
                time: 5,
            });
        },
        &[Invariant::Corrupt],
    );
}

#[test]
fn a_transaction_left_open() {
    catches(
        |history| history.ends[0].stable = 8,
        &[Invariant::OpenTransaction],
    );
}

#[test]
fn duplicates_are_counted_and_at_least_once_allows_them() {
    let mut history = good(40, 20);
    let mut second = history.outputs[3];
    second.place.offset = 40;
    history.outputs.push(second);
    let again: Vec<Entry> = history.journals[0][1..3].to_vec();
    // By a third worker, after the first was lost.
    history.journals.push(again);
    let verdict = check(&history, Rules::AT_LEAST_ONCE);
    assert_eq!(verdict.violations, []);
    assert_eq!((verdict.duplicates, verdict.reruns), (1, 1));
}

/// The first worker of a good history, then a third one that does its first `count` records again.
fn again(count: usize) -> History {
    let mut history = good(40, 20);
    let again: Vec<Entry> = history.journals[0][1..1 + 2 * count].to_vec();
    history.journals.push(
        again
            .into_iter()
            .map(|mut entry| {
                entry.time += 10_000_000;
                entry
            })
            .collect(),
    );
    history
}

#[test]
fn a_call_that_was_made_again_is_as_old_as_its_worker_lived_on() {
    assert_eq!(repeated(&good(40, 20), &[]), []);
    let found = repeated(&again(2), &[]);
    // A record each 10 ms; the first worker ends with its twentieth.
    let ages: Vec<u128> = found.iter().map(|call| call.age.as_millis()).collect();
    assert_eq!(ages, [190, 180]);
    assert!(found.iter().all(|call| call.worker == 0));
}

#[test]
fn a_partition_is_lost_when_it_is_revoked() {
    let mut history = again(1);
    let place = history.input[0].place;
    let time = history.journals[0][2].time + 30_000;
    let revoked = |partition| Entry {
        deed: Deed::Revoked(vec![partition]),
        time,
    };
    history.journals[0].insert(3, revoked(place.partition + 1));
    assert_eq!(repeated(&history, &[])[0].age.as_millis(), 190);
    history.journals[0].insert(3, revoked(place.partition));
    assert_eq!(repeated(&history, &[])[0].age.as_millis(), 30);
}

#[test]
fn time_during_which_commits_were_held_does_not_count() {
    let history = again(1);
    let done = history.journals[0][2].time;
    let held = |from: u64, to: u64| Held {
        from: done - 50_000 + from,
        to: done - 50_000 + to,
    };
    let age = |held: &[Held]| repeated(&history, held)[0].age.as_millis();
    // Before the call was done, across that, within, and across the worker's end.
    assert_eq!(age(&[held(0, 40_000)]), 190);
    assert_eq!(age(&[held(0, 60_000)]), 180);
    assert_eq!(age(&[held(60_000, 90_000), held(100_000, 110_000)]), 150);
    assert_eq!(age(&[held(200_000, 900_000)]), 150);
}

proptest! {
    /// Whatever the size of a run and wherever it changes hands: good stays good, and one lost output,
    /// one early commit and one output too many are found wherever they are.
    #[test]
    fn one_fault_anywhere_is_found(records in 8_usize..200, switch in 0_usize..200, at in any::<proptest::sample::Index>()) {
        let clean = good(records, switch.min(records));
        prop_assert_eq!(broken(&clean), BTreeSet::new());
        let at = at.index(records);

        let mut lost = clean.clone();
        lost.outputs.remove(at);
        lost.glimpses.remove(at);
        prop_assert_eq!(broken(&lost), [Invariant::LostWrite].into());

        let mut early = clean.clone();
        early.commits[at].time -= 4000;
        // The glimpse is later than the commit in any case.
        prop_assert_eq!(broken(&early), [Invariant::EarlyCommit].into());

        let mut twice = clean;
        let mut second = twice.outputs[at];
        second.place = Place::new(7, 0);
        twice.outputs.push(second);
        prop_assert_eq!(broken(&twice), [Invariant::ExactOutput].into());
    }
}
