//! What is still held of the records that came lately.
//!
//! In: how many bytes each poll brought, and tokens given to its chunks. Out: whether so many of those are held that new
//! chunks are to be copies. Owned by the polling thread; chunks only keep tokens.
//!
//! A record that was not compressed stays in the broker's answer it came with, and keeps all of it: one record of a slow
//! partition keeps megabytes of fast ones. Which records share an answer librdkafka does not tell; what came one
//! after the other until as much was there as an answer brings at most shares two at most.

use std::collections::VecDeque;
use std::sync::Arc;

/// As many bytes as an answer of a broker has at most (`fetch.max.bytes`).
const TOGETHER: usize = 16 << 20;
/// Earlier ones of which something may be held before new chunks are copies.
const MOST: usize = 4;

/// Held by each chunk that came together with others.
pub(in crate::transport::rdkafka) type Token = Arc<()>;

#[derive(Debug, Default)]
pub(super) struct Fetches {
    current: Token,
    bytes: usize,
    earlier: VecDeque<Token>,
}

impl Fetches {
    /// A poll brought so many bytes; asked for before its tokens.
    pub(super) fn came(&mut self, bytes: usize) {
        if self.bytes >= TOGETHER {
            self.earlier.push_back(std::mem::take(&mut self.current));
            self.bytes = 0;
        }
        self.bytes += bytes;
        if !self.earlier.is_empty() {
            self.earlier.retain(|token| Arc::strong_count(token) > 1);
        }
    }

    pub(super) fn token(&self) -> Token {
        self.current.clone()
    }

    /// Whether what comes now may not keep its answer, too.
    pub(super) fn are_many(&self) -> bool {
        self.earlier.len() > MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_held_counts_and_only_until_it_is_let_go() {
        let mut fetches = Fetches::default();
        for _ in 0..100 {
            fetches.came(TOGETHER);
            drop(fetches.token());
        }
        assert!(!fetches.are_many() && fetches.earlier.is_empty());

        let mut held = Vec::new();
        for round in 0..20 {
            assert_eq!(fetches.are_many(), round > MOST + 1, "round {round}");
            fetches.came(TOGETHER);
            held.push(fetches.token());
        }
        held.drain(..held.len() - 3);
        fetches.came(1);
        assert!(!fetches.are_many());
    }

    #[test]
    fn what_comes_slowly_counts_once() {
        let mut fetches = Fetches::default();
        let mut held = Vec::new();
        for _ in 0..1_000 {
            fetches.came(TOGETHER / 1_000);
            held.push(fetches.token());
        }
        assert!(!fetches.are_many() && fetches.earlier.len() <= 1);
    }
}
