//! Key to partition, as producers of the topic compute it.

use std::fmt;

/// How a key selects its partition. Records without a key go to any partition.
#[derive(Clone, Copy)]
pub enum Partitioner {
    /// `murmur2(key) & 0x7fffffff % partitions`: Kafka's Java clients (`DefaultPartitioner`).
    Murmur2,
    /// `crc32(key) % partitions`: librdkafka's `consistent_random` (confluent-kafka's default). To it an empty key is
    /// none: its records go to any partition.
    Crc32,
    /// A function of the key's bytes and the number of partitions (at least 1); the result must be
    /// below that number. It has to take keys of any form: what one topic has in several places is compared by where
    /// it puts some, and functions that panic on all of them are refused when the app is built.
    Custom(fn(&[u8], u32) -> u32),
}

impl fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Murmur2 => "murmur2",
            Self::Crc32 => "crc32",
            Self::Custom(_) => "custom",
        })
    }
}

impl PartialEq for Partitioner {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Murmur2, Self::Murmur2) | (Self::Crc32, Self::Crc32) => true,
            (Self::Custom(a), Self::Custom(b)) => compared(*a, *b) == Compared::Same,
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Same,
    Other,
    /// Neither takes any of the keys.
    Untold,
}

/// One function may have several addresses, one per crate or unit that uses it, so functions are compared by where
/// they put some keys.
fn compared(a: fn(&[u8], u32) -> u32, b: fn(&[u8], u32) -> u32) -> Compared {
    if std::ptr::fn_addr_eq(a, b) {
        return Compared::Same;
    }
    const COUNTS: [u32; 3] = [2, 12, 997];
    // Numbers as text and as bytes, and longer keys: what functions take for keys.
    let texts = (0..32_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes());
    let bytes = (0..16_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes().to_vec());
    let longer = (0..16_u64).map(|n| {
        let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{n:016x}-{n:020}").into_bytes()
    });
    let place = |function: fn(&[u8], u32) -> u32, key: &[u8], count| {
        // A key it does not take: then it has to be none for both.
        std::panic::catch_unwind(|| Partitioner::Custom(function).partition(key, count)).ok()
    };
    let mut compared = Compared::Untold;
    for key in texts.chain(bytes).chain(longer) {
        for count in COUNTS {
            match (place(a, &key, count), place(b, &key, count)) {
                (None, None) => {}
                (a, b) if a == b => compared = Compared::Same,
                _ => return Compared::Other,
            }
        }
    }
    compared
}

impl Eq for Partitioner {}

impl Partitioner {
    /// The partition of a key among `partitions` (at least 1); of one that is not empty where it is
    /// [`Partitioner::Crc32`].
    ///
    /// ```
    /// use citizenk::Partitioner;
    /// assert_eq!(Partitioner::Murmur2.partition(b"21", 1000), 340);
    /// ```
    #[must_use]
    pub fn partition(self, key: &[u8], partitions: u32) -> u32 {
        let count = partitions.max(1);
        match self {
            Self::Murmur2 => (murmur2(key) & 0x7fff_ffff) % count,
            Self::Crc32 => crc32fast::hash(key) % count,
            Self::Custom(function) => function(key, count).min(count - 1),
        }
    }

    /// Whether both are functions that panic whatever they are given, so that nobody can tell whether they are one.
    pub(crate) fn is_untold(self, other: Self) -> bool {
        match (self, other) {
            (Self::Custom(a), Self::Custom(b)) => compared(a, b) == Compared::Untold,
            _ => false,
        }
    }

    /// The same; `None` where producers put the key anywhere.
    pub(crate) fn place(self, key: &[u8], partitions: u32) -> Option<u32> {
        match self {
            Self::Crc32 if key.is_empty() => None,
            _ => Some(self.partition(key, partitions)),
        }
    }
}

/// MurmurHash2, 32 bit, with the seed Kafka's Java clients use (org.apache.kafka.common.utils.Utils).
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> R)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        for (position, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * position);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_agrees_with_the_java_client() {
        let cases: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key) as i32, expected, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn crc32_agrees_with_zlib() {
        assert_eq!(
            Partitioner::Crc32.partition(b"123456789", u32::MAX),
            0xcbf4_3926
        );
    }

    #[test]
    fn custom_functions_are_compared_by_what_they_do() {
        // Written twice, so that they have two addresses.
        fn by_last(key: &[u8], partitions: u32) -> u32 {
            u32::from(key[key.len() - 1]) % partitions
        }
        fn by_last_again(key: &[u8], partitions: u32) -> u32 {
            let last = key.last().copied();
            last.map(u32::from).expect("a key") % partitions
        }
        fn by_first(key: &[u8], partitions: u32) -> u32 {
            u32::from(key[0]) % partitions
        }
        fn by_last_but_one_partition(key: &[u8], partitions: u32) -> u32 {
            by_last(key, partitions - 1)
        }
        let by_last = Partitioner::Custom(by_last);
        assert_eq!(by_last, by_last);
        assert_eq!(by_last, Partitioner::Custom(by_last_again));
        assert_ne!(by_last, Partitioner::Custom(by_first));
        assert_ne!(by_last, Partitioner::Custom(by_last_but_one_partition));
        assert_ne!(by_last, Partitioner::Murmur2);
        assert!(!by_last.is_untold(Partitioner::Custom(by_first)));
        assert!(!by_last.is_untold(Partitioner::Murmur2));
    }

    #[test]
    fn functions_that_take_no_key_at_all_are_not_taken_for_one() {
        fn of_a_region(key: &[u8], partitions: u32) -> u32 {
            let region = key.strip_prefix(b"region:").expect("a region");
            u32::from(region[0]) % partitions
        }
        fn of_a_country(key: &[u8], partitions: u32) -> u32 {
            let country = key.strip_prefix(b"country:").expect("a country");
            u32::from(country[0]) % partitions
        }
        let regions = Partitioner::Custom(of_a_region);
        let countries = Partitioner::Custom(of_a_country);
        assert_ne!(regions, countries);
        assert!(regions.is_untold(countries));
        // One address needs no try.
        assert_eq!(regions, regions);
        assert!(!regions.is_untold(regions));
    }

    #[test]
    fn an_empty_key_is_none_to_crc32_alone() {
        assert_eq!(Partitioner::Crc32.place(b"", 7), None);
        let murmur2 = Partitioner::Murmur2;
        assert_eq!(murmur2.place(b"", 7), Some(murmur2.partition(b"", 7)));
        let crc32 = Partitioner::Crc32;
        assert_eq!(crc32.place(b"k", 7), Some(crc32.partition(b"k", 7)));
    }

    proptest! {
        #[test]
        fn every_key_has_a_partition(key: Vec<u8>, count in 0..10_000u32) {
            for partitioner in [Partitioner::Murmur2, Partitioner::Crc32, Partitioner::Custom(|_, n| n)] {
                prop_assert!(partitioner.partition(&key, count) < count.max(1));
            }
        }
    }
}
