//! Median and spread of a few measurements.

/// A contestant's figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// None without any value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

/// The value below which so many of 100 lie; 0 without any. They are sorted.
pub(crate) fn percentile(sorted: &[u64], percent: f64) -> u64 {
    percentile_of(sorted, sorted.len() as u64, percent, 0)
}

/// The same of so many, of which those that are not here took `never`.
pub(crate) fn percentile_of(sorted: &[u64], all: u64, percent: f64, never: u64) -> u64 {
    let all = all.max(sorted.len() as u64);
    let rank = (percent / 100.0 * all as f64).ceil() as u64;
    if rank > sorted.len() as u64 {
        return never;
    }
    let index = usize::try_from(rank.max(1) - 1).unwrap_or(usize::MAX);
    sorted.get(index).copied().unwrap_or(0)
}

/// Floor ÷ other: above 1 is better than the floor.
pub(crate) fn ratio(floor: f64, other: f64) -> f64 {
    if other > 0.0 { floor / other } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(Spread::of([]), None);
        let odd = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 3.0));
        let even = Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((even.least, even.median, even.most), (1.0, 2.5, 4.0));
    }

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        assert_eq!(percentile(&[], 50.0), 0);
        assert_eq!(percentile(&[7], 99.0), 7);
        let hundred: Vec<u64> = (1..=100).collect();
        let of = |percent| percentile(&hundred, percent);
        assert_eq!((of(50.0), of(99.0), of(100.0)), (50, 99, 100));
    }

    #[test]
    fn what_never_came_is_part_of_a_percentile() {
        let of = |all, percent| percentile_of(&[1, 2, 3], all, percent, 900);
        assert_eq!((of(3, 50.0), of(3, 100.0)), (2, 3));
        assert_eq!((of(4, 75.0), of(4, 76.0)), (3, 900));
        // More came than there were to be.
        assert_eq!(of(0, 100.0), 3);
        assert_eq!(percentile_of(&[], 0, 50.0, 900), 0);
        assert_eq!(percentile_of(&[], 1, 50.0, 900), 900);
    }

    #[test]
    fn a_cheaper_contestant_has_the_higher_ratio() {
        assert!(ratio(1.0, 0.8) > ratio(1.0, 1.2));
        assert!(ratio(1.0, 0.0).is_nan());
    }
}
