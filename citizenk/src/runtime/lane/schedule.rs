//! Which record may run next when several keys run at once.
//!
//! In: records in offset order, each with its key's identity. Out: records that may start: at most N
//! keys at once, each key in offset order; records without key are independent. At the end, those that
//! later ones have overtaken. Pure.

use std::collections::{HashMap, VecDeque};

/// Identifies a key; `None`: the record has none. Two keys of one identity only wait for each other.
pub(crate) type KeyId = Option<u64>;

#[derive(Debug)]
pub(crate) struct KeySchedule<T> {
    limit: usize,
    running: usize,
    /// Records that may start as soon as a place is free, each with its number.
    ready: VecDeque<(KeyId, (u64, T))>,
    /// Keys that are ready or running, with the records behind them.
    busy: HashMap<u64, VecDeque<(u64, T)>>,
    len: usize,
    added: u64,
    /// The latest record that was started.
    furthest: Option<u64>,
}

impl<T> KeySchedule<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            running: 0,
            ready: VecDeque::new(),
            busy: HashMap::new(),
            len: 0,
            added: 0,
            furthest: None,
        }
    }

    /// Adds a record behind all earlier ones of its key.
    pub(crate) fn push(&mut self, key: KeyId, item: T) {
        self.len += 1;
        let numbered = (self.added, item);
        self.added += 1;
        if let Some(key) = key {
            if let Some(queue) = self.busy.get_mut(&key) {
                queue.push_back(numbered);
                return;
            }
            self.busy.insert(key, VecDeque::new());
        }
        self.ready.push_back((key, numbered));
    }

    /// The next record to start; tell `done` when it ended.
    pub(crate) fn start(&mut self) -> Option<(KeyId, T)> {
        if self.running >= self.limit {
            return None;
        }
        let (key, (number, item)) = self.ready.pop_front()?;
        self.running += 1;
        self.len -= 1;
        self.furthest = self.furthest.max(Some(number));
        Some((key, item))
    }

    /// Like [`Self::start`], of the records only that a later one was started before.
    pub(crate) fn start_overtaken(&mut self) -> Option<(KeyId, T)> {
        // What nobody has overtaken is never started any more, and so is what stands behind it.
        while let Some((_, (number, _))) = self.ready.front() {
            if self.furthest.is_some_and(|furthest| *number < furthest) {
                return self.start();
            }
            self.ready.pop_front();
            self.len -= 1;
        }
        None
    }

    /// Like [`Self::start_overtaken`], but the other records stay: it goes on later.
    pub(crate) fn start_behind(&mut self) -> Option<(KeyId, T)> {
        if self.running >= self.limit {
            return None;
        }
        let furthest = self.furthest?;
        let behind = |(_, (number, _)): &(_, (u64, T))| *number < furthest;
        let index = self.ready.iter().position(behind)?;
        let first = self.ready.remove(index)?;
        self.ready.push_front(first);
        self.start()
    }

    /// From here on every record added so far counts as overtaken.
    pub(crate) fn overtake_all(&mut self) {
        self.furthest = Some(self.added);
    }

    /// A started record ended: the next one of its key may start.
    pub(crate) fn done(&mut self, key: KeyId) {
        self.running = self.running.saturating_sub(1);
        let Some(key) = key else { return };
        match self.busy.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(item) => self.ready.push_back((Some(key), item)),
            None => {
                self.busy.remove(&key);
            }
        }
    }

    /// A started record was given up: it comes again to whoever has the partition next, and what stands behind it with
    /// the same key must not come before it.
    pub(crate) fn halted(&mut self, key: KeyId) {
        self.running = self.running.saturating_sub(1);
        if let Some(queue) = key.and_then(|key| self.busy.get_mut(&key)) {
            self.len -= queue.len();
            queue.clear();
        }
    }

    /// Records added and not started.
    pub(crate) fn waiting(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whenever the end begins, what has run afterwards is everything up to the latest that had started:
        /// nothing is left out in between.
        #[test]
        fn the_end_leaves_no_gap(
            keys in prop::collection::vec(prop::option::of(0..6u64), 1..120),
            limit in 1..9usize,
            before in 0..100usize,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 300),
        ) {
            let mut schedule = KeySchedule::new(limit);
            keys.iter().enumerate().for_each(|(n, key)| schedule.push(*key, n));
            let mut running: Vec<(KeyId, usize)> = Vec::new();
            let mut seen = HashSet::new();
            let mut picks = picks.into_iter().cycle();
            for ended in 0.. {
                let next = |schedule: &mut KeySchedule<usize>| {
                    if ended < before { schedule.start() } else { schedule.start_overtaken() }
                };
                while let Some((key, n)) = next(&mut schedule) {
                    prop_assert!(seen.insert(n));
                    running.push((key, n));
                    prop_assert!(running.len() <= limit);
                }
                if running.is_empty() { break }
                let pick = picks.next().expect("the picks are cycled").index(running.len());
                let (key, _) = running.swap_remove(pick);
                schedule.done(key);
            }
            prop_assert_eq!(seen.iter().max().map_or(0, |furthest| furthest + 1), seen.len());
        }

        /// A record that was given up is the last of its key, whatever others have overtaken.
        #[test]
        fn nothing_follows_a_record_that_was_given_up(
            keys in prop::collection::vec(prop::option::of(0..4u64), 1..120),
            limit in 1..9usize,
            before in 0..100usize,
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 300),
        ) {
            let mut schedule = KeySchedule::new(limit);
            keys.iter().enumerate().for_each(|(n, key)| schedule.push(*key, n));
            let mut running: Vec<(KeyId, usize)> = Vec::new();
            let mut given_up = HashSet::new();
            let mut picks = picks.into_iter().cycle();
            for ended in 0.. {
                let next = |schedule: &mut KeySchedule<usize>| {
                    if ended < before { schedule.start() } else { schedule.start_overtaken() }
                };
                while let Some((key, n)) = next(&mut schedule) {
                    prop_assert!(key.is_none_or(|key| !given_up.contains(&key)), "{n} of {key:?}");
                    running.push((key, n));
                    prop_assert!(running.len() <= limit);
                }
                if running.is_empty() { break }
                let (pick, halts) = picks.next().expect("the picks are cycled");
                let (key, _) = running.swap_remove(pick.index(running.len()));
                if halts {
                    given_up.extend(key);
                    schedule.halted(key);
                } else {
                    schedule.done(key);
                }
            }
        }

        /// Never more than the limit runs, never one key twice at once, each key in order, and
        /// everything runs in the end.
        #[test]
        fn keys_keep_their_order(
            keys in prop::collection::vec(prop::option::of(0..6u64), 1..120),
            limit in 1..9usize,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 300),
        ) {
            let mut schedule = KeySchedule::new(limit);
            keys.iter().enumerate().for_each(|(n, key)| schedule.push(*key, n));
            let mut running: Vec<(KeyId, usize)> = Vec::new();
            let mut last: HashMap<u64, usize> = HashMap::new();
            let mut seen = HashSet::new();
            let mut picks = picks.into_iter().cycle();
            loop {
                while let Some((key, n)) = schedule.start() {
                    if let Some(key) = key {
                        prop_assert!(running.iter().all(|(other, _)| *other != Some(key)));
                        prop_assert!(last.insert(key, n).is_none_or(|before| before < n));
                    }
                    prop_assert!(seen.insert(n));
                    running.push((key, n));
                    prop_assert!(running.len() <= limit);
                }
                if running.is_empty() { break }
                let pick = picks.next().expect("the picks are cycled").index(running.len());
                let (key, _) = running.swap_remove(pick);
                schedule.done(key);
            }
            prop_assert_eq!(seen.len(), keys.len());
            prop_assert_eq!(schedule.waiting(), 0);
        }
    }
}
