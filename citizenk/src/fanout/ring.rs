//! The last values of a stream, and what a client that reads at its own pace gets of them.
//!
//! A plain data type: no clock, no waiting. Clients have a position instead of a queue of their own, so a
//! thousand of them hold each value once.

use std::collections::{HashSet, VecDeque};

/// What happens to a client that falls behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowClient {
    /// It keeps this many values at most and misses the oldest; 1 to [`SlowClient::MOST`].
    DropOldest(usize),
    /// Of the values it has not got yet it gets the newest of each key, as far as they are kept.
    Coalesce,
    /// It is disconnected as soon as it misses a value, or takes none for 10 s.
    Disconnect,
}

impl SlowClient {
    /// How many values of a stream are kept, for slow clients and for those that come back.
    pub const MOST: usize = 1024;
}

impl Default for SlowClient {
    /// `DropOldest(1024)`.
    fn default() -> Self {
        Self::DropOldest(Self::MOST)
    }
}

/// What a ring keeps.
pub(super) trait Item {
    fn bytes(&self) -> usize;
    fn key(&self) -> Option<&[u8]>;
}

/// The last items, numbered from 0 without gaps.
#[derive(Debug)]
pub(super) struct Ring<T> {
    items: VecDeque<T>,
    /// The number of the first one kept.
    tail: u64,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

/// What a client gets at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken<T> {
    /// Items it will never get, before these.
    pub(super) missed: u64,
    /// Items left out because a newer one of their key follows.
    pub(super) coalesced: u64,
    pub(super) items: Vec<(u64, T)>,
    /// The number of the item to ask for next.
    pub(super) next: u64,
}

/// It missed items and must not.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    pub(super) missed: u64,
}

/// At most this many at a time, so that a slow client is judged again soon.
const AT_ONCE: usize = 32;

impl<T: Item + Clone> Ring<T> {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            items: VecDeque::new(),
            tail: 0,
            bytes: 0,
            most: most.max(1),
            most_bytes,
        }
    }

    /// The number the next item will have.
    pub(super) fn head(&self) -> u64 {
        self.tail + self.items.len() as u64
    }

    /// The number of the first item kept.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// The number of the first item that such a client may still get.
    pub(super) fn first(&self, slow: SlowClient) -> u64 {
        match slow {
            SlowClient::DropOldest(most) => {
                let kept = self.head().saturating_sub(most.max(1) as u64);
                kept.max(self.tail)
            }
            SlowClient::Coalesce | SlowClient::Disconnect => self.tail,
        }
    }

    pub(super) fn push(&mut self, item: T) {
        self.bytes += item.bytes();
        self.items.push_back(item);
        // The newest stays, however large it is.
        while self.items.len() > self.most || (self.bytes > self.most_bytes && self.items.len() > 1)
        {
            if let Some(item) = self.items.pop_front() {
                self.bytes -= item.bytes();
                self.tail += 1;
            }
        }
    }

    /// What the client whose next item is number `next` gets now.
    pub(super) fn take(&self, next: u64, slow: SlowClient) -> Result<Taken<T>, TooSlow> {
        let head = self.head();
        // A position of the future is not ours; nothing can be missing.
        let next = next.min(head);
        let first = next.max(self.first(slow));
        let missed = first - next;
        if missed > 0 && slow == SlowClient::Disconnect {
            return Err(TooSlow { missed });
        }
        // Lossless: a ring is no longer than memory.
        let skip = (first - self.tail) as usize;
        let waiting = self.items.iter().skip(skip);
        let numbered = (first..).zip(waiting);
        if slow == SlowClient::Coalesce {
            let mut seen: HashSet<Option<&[u8]>> = HashSet::new();
            let all: Vec<(u64, &T)> = numbered.collect();
            let total = all.len() as u64;
            let newest = all
                .into_iter()
                .rev()
                .filter(|(_, item)| seen.insert(item.key()));
            let mut items: Vec<(u64, T)> = newest.map(|(n, item)| (n, item.clone())).collect();
            items.reverse();
            return Ok(Taken {
                missed,
                coalesced: total - items.len() as u64,
                items,
                next: head,
            });
        }
        let items: Vec<(u64, T)> = numbered
            .take(AT_ONCE)
            .map(|(number, item)| (number, item.clone()))
            .collect();
        Ok(Taken {
            missed,
            coalesced: 0,
            next: first + items.len() as u64,
            items,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Value {
        key: u8,
        bytes: usize,
    }

    impl Item for Value {
        fn bytes(&self) -> usize {
            self.bytes
        }
        fn key(&self) -> Option<&[u8]> {
            Some(std::slice::from_ref(&self.key))
        }
    }

    fn policies() -> impl Strategy<Value = SlowClient> {
        prop_oneof![
            (1_usize..20).prop_map(SlowClient::DropOldest),
            Just(SlowClient::Coalesce),
            Just(SlowClient::Disconnect),
        ]
    }

    proptest! {
        /// Whatever is pushed between looks: a client gets items in order, each at most once, and every item
        /// is got, counted as missed, or left out for a newer one of its key.
        #[test]
        fn a_client_gets_or_misses_every_value_once(
            steps in prop::collection::vec((0_usize..60, 0_u8..4, 1_usize..50), 1..30),
            slow in policies(),
            most in 1_usize..40,
            most_bytes in 1_usize..800,
        ) {
            let mut ring = Ring::new(most, most_bytes);
            let (mut next, mut last) = (0_u64, None::<u64>);
            let (mut got, mut missed, mut coalesced) = (0_u64, 0_u64, 0_u64);
            for (pushes, key, bytes) in steps {
                for n in 0..pushes {
                    ring.push(Value { key: key.wrapping_add(n as u8) % 5, bytes });
                    prop_assert!(ring.items.len() <= most);
                    prop_assert!(ring.bytes <= most_bytes || ring.items.len() == 1);
                }
                match ring.take(next, slow) {
                    Err(TooSlow { missed }) => {
                        prop_assert_eq!(slow, SlowClient::Disconnect);
                        prop_assert!(missed > 0 && ring.tail() == next + missed);
                        return Ok(());
                    }
                    Ok(taken) => {
                        for (number, item) in &taken.items {
                            prop_assert!(last.is_none_or(|last| last < *number));
                            last = Some(*number);
                            if slow == SlowClient::Coalesce {
                                let newer = taken.items.iter().filter(|(_, other)| other.key == item.key);
                                prop_assert_eq!(newer.count(), 1);
                            }
                        }
                        got += taken.items.len() as u64;
                        missed += taken.missed;
                        coalesced += taken.coalesced;
                        next = taken.next;
                        prop_assert_eq!(got + missed + coalesced, next);
                        prop_assert!(next <= ring.head());
                        if let SlowClient::DropOldest(most) = slow {
                            prop_assert!(ring.head() - next <= most as u64);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn of_a_key_the_newest_value_counts() {
        let mut ring = Ring::new(10, 1000);
        for key in [1, 2, 1, 1, 3] {
            ring.push(Value { key, bytes: 1 });
        }
        let taken = ring.take(0, SlowClient::Coalesce).unwrap();
        let numbers: Vec<u64> = taken.items.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            (numbers, taken.coalesced, taken.next),
            (vec![1, 3, 4], 2, 5)
        );
    }
}
