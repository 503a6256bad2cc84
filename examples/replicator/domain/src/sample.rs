//! Which records belong to a share of all, decided by the record alone: every worker, every run and every other
//! program that computes the same number agree.
//!
//! ```text
//! bucket(bytes) = fmix64(fnv1a64(bytes)) mod 100
//! ```
//!
//! It is not the partitioner's hash, so the buckets of a partition's keys are spread evenly.

use serde::{Deserialize, Serialize};

use crate::record::Record;

/// What decides about a record.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SampleBy {
    /// Its key: all records of a key, or none. Records without a key are decided one by one.
    #[default]
    Key,
    /// Its place (partition and offset): one by one.
    Random,
}

/// The share of the records that pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// 0 to 100.
    pub percent: u8,
    /// What decides.
    pub by: SampleBy,
}

/// The bucket of a key, 0 to 99.
#[must_use]
pub fn bucket(bytes: &[u8]) -> u8 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash ^= u64::from(*byte);
        hash = hash.wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    // Below 100.
    (hash % 100) as u8
}

impl Sample {
    /// Whether the record is in the share.
    #[must_use]
    pub fn takes(self, record: &Record<'_>) -> bool {
        let bucket = match (self.by, record.key) {
            (SampleBy::Key, Some(key)) => bucket(key),
            _ => {
                let mut place = [0; 12];
                place[..4].copy_from_slice(&record.partition.to_be_bytes());
                place[4..].copy_from_slice(&record.offset.to_be_bytes());
                bucket(&place)
            }
        };
        bucket < self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Other programs compute the same, so these never change.
    #[test]
    fn buckets_are_fixed_and_even() {
        assert_eq!([bucket(b""), bucket(b"hello"), bucket(b"42")], [42, 24, 76]);
        let mut counts = [0_u32; 100];
        for key in 0..100_000 {
            counts[usize::from(bucket(format!("user-{key}").as_bytes()))] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_key_is_on_one_side_and_the_share_is_met() {
        let record = |key: Option<&'static [u8]>, offset| Record {
            topic: "t",
            partition: 3,
            offset,
            timestamp: None,
            key,
            value: None,
            headers: &(),
        };
        let sample = Sample {
            percent: 90,
            by: SampleBy::Key,
        };
        let first = sample.takes(&record(Some(b"a"), 0));
        assert!((0..100).all(|offset| sample.takes(&record(Some(b"a"), offset)) == first));
        for (key, by) in [(None, SampleBy::Key), (Some(&b"a"[..]), SampleBy::Random)] {
            let sample = Sample { percent: 90, by };
            let taken = (0..10_000)
                .filter(|offset| sample.takes(&record(key, *offset)))
                .count();
            assert!((8_800..9_200).contains(&taken), "{taken}");
        }
        for (percent, takes) in [(0, false), (100, true)] {
            let sample = Sample {
                percent,
                by: SampleBy::Random,
            };
            assert!((0..1000).all(|offset| sample.takes(&record(None, offset)) == takes));
        }
    }
}
