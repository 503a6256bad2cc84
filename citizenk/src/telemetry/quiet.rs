//! Which lines of a log to leave out: a broker that is away would otherwise fill it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Lines of one kind are let through once in this time.
const QUIET: Duration = Duration::from_secs(5);
/// More kinds than this are not told apart for long: the memory starts anew.
const KINDS: usize = 256;

/// The kinds of lines of late, when each was written, and how many were not since.
#[derive(Debug)]
pub(crate) struct Quiet<K>(HashMap<K, (Instant, u64)>);

impl<K> Default for Quiet<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Quiet<K> {
    /// How many lines of this kind were held back since the last one, or `None` to hold this back.
    pub(crate) fn admit(&mut self, kind: K, now: Instant) -> Option<u64> {
        if self.0.len() >= KINDS && !self.0.contains_key(&kind) {
            self.0.clear();
        }
        match self.0.entry(kind) {
            Entry::Vacant(entry) => {
                entry.insert((now, 0));
                Some(0)
            }
            Entry::Occupied(mut entry) => {
                let (last, held) = entry.get_mut();
                if now.duration_since(*last) < QUIET {
                    *held += 1;
                    return None;
                }
                *last = now;
                Some(std::mem::take(held))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_line_passes_once_and_says_how_many_were_held_back() {
        let mut quiet = Quiet::default();
        let start = Instant::now();
        assert_eq!(quiet.admit(1, start), Some(0));
        assert_eq!(quiet.admit(1, start), None);
        assert_eq!(quiet.admit(2, start), Some(0));
        assert_eq!(quiet.admit(1, start + QUIET), Some(1));
    }
}
