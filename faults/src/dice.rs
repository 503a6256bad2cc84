//! Choices that a seed repeats.

use std::time::Duration;

/// Numbers from a seed (SplitMix64): the same seed gives the same choices.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// For one part of a run: what another part chooses does not change it.
    pub(crate) fn of(seed: u64, part: &str) -> Self {
        Self(part.bytes().fold(seed, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        }))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    /// At least `from`, less than `to`, in whole milliseconds.
    pub(crate) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = to.saturating_sub(from).as_millis().max(1);
        from + Duration::from_millis(self.next() % u64::try_from(span).unwrap_or(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_choices_and_parts_do_not_disturb_each_other() {
        let draw = |mut dice: Dice| (0..5).map(|_| dice.below(1000)).collect::<Vec<_>>();
        assert_eq!(draw(Dice::new(7)), draw(Dice::new(7)));
        assert_ne!(draw(Dice::new(7)), draw(Dice::new(8)));
        assert_ne!(draw(Dice::of(7, "W1")), draw(Dice::of(7, "W2")));
    }

    #[test]
    fn what_is_drawn_stays_within_its_bounds() {
        let mut dice = Dice::new(1);
        let (from, to) = (Duration::from_millis(5), Duration::from_millis(8));
        for _ in 0..1000 {
            assert!(dice.below(3) < 3);
            assert!((from..to).contains(&dice.between(from, to)));
        }
    }
}
