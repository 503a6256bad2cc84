//! Key to partition, as producers of the topic compute it.

use std::fmt;

/// How a key selects its partition. Records without a key go to any partition.
#[derive(Clone, Copy)]
pub enum Partitioner {
    /// `murmur2(key) & 0x7fffffff % partitions`: Kafka's Java clients (`DefaultPartitioner`).
    Murmur2,
    /// `crc32(key) % partitions`: librdkafka's `consistent_random` (confluent-kafka's default).
    Crc32,
    /// A function of the key's bytes and the number of partitions (at least 1); the result must be
    /// below that number.
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
            (Self::Custom(a), Self::Custom(b)) => std::ptr::fn_addr_eq(*a, *b),
            _ => false,
        }
    }
}

impl Eq for Partitioner {}

impl Partitioner {
    /// The partition of a key among `partitions` (at least 1).
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

    proptest! {
        #[test]
        fn every_key_has_a_partition(key: Vec<u8>, count in 0..10_000u32) {
            for partitioner in [Partitioner::Murmur2, Partitioner::Crc32, Partitioner::Custom(|_, n| n)] {
                prop_assert!(partitioner.partition(&key, count) < count.max(1));
            }
        }
    }
}
