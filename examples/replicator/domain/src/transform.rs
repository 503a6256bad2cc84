//! What becomes of one record of one mapping: taken or not, its bytes, its partition.

use crate::filter::{Filter, Scratch, Verdict};
use crate::record::Record;
use crate::sample::Sample;
use crate::values::{Route, ValueMap};

/// What to do with a value that is no JSON where JSON is needed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnDecodeError {
    /// Count it and go on.
    #[default]
    Drop,
    /// Copy it as it is.
    Pass,
    /// Hold the mapping at this record.
    Stop,
}

/// Everything a mapping does to the records of one source topic.
#[derive(Clone, Debug, Default)]
pub struct Transform {
    /// Which records are taken.
    pub filter: Option<Filter>,
    /// Which share of them.
    pub sample: Option<Sample>,
    /// What changes.
    pub values: Option<std::sync::Arc<ValueMap>>,
    /// What happens to values that are no JSON.
    pub on_decode_error: OnDecodeError,
}

/// Memory that is used again for each record.
#[derive(Debug, Default)]
pub struct Buffers {
    scratch: Scratch,
    value: Vec<u8>,
}

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioning {
    /// As the partition counts of source and target say: see [`Partitioning::resolve`].
    Kept,
    /// As the new key says.
    ByKey,
    /// To this one.
    To(i32),
}

/// A partition the target does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchPartition {
    /// The partition.
    pub partition: i32,
    /// How many the target has.
    pub count: i32,
}

impl Partitioning {
    /// The target's partition; `None`: the partitioner chooses by the key.
    ///
    /// # Errors
    /// The target has no such partition.
    pub fn resolve(
        self,
        source: i32,
        same_count: bool,
        target_count: i32,
    ) -> Result<Option<i32>, NoSuchPartition> {
        match self {
            Self::ByKey => Ok(None),
            Self::Kept => Ok(same_count.then_some(source)),
            Self::To(partition) if partition >= target_count => Err(NoSuchPartition {
                partition,
                count: target_count,
            }),
            Self::To(partition) => Ok(Some(partition)),
        }
    }
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'b> {
    /// It is copied.
    Copy {
        /// The new key; `None`: as it was.
        key: Option<&'b [u8]>,
        /// The new value; `None`: as it was.
        value: Option<&'b [u8]>,
        /// Where it goes.
        partition: Partitioning,
        /// How many keys and scalars were in none of their tables.
        unmapped: usize,
    },
    /// Not taken by the filter or the sample.
    Filtered,
    /// Dropped by `key:partition`.
    Dropped,
    /// Its value is no JSON, which drops it.
    Undecodable(String),
    /// Its value is no JSON, which holds the mapping.
    Held(String),
    /// The filter has no answer for it; it is not copied.
    Failed(String),
}

impl Transform {
    /// Whether records go as they are: nobody needs to look at them.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.filter.is_none() && self.sample.is_none() && self.values.is_none()
    }

    fn undecodable<'b>(&self, reason: String, partition: Partitioning) -> Outcome<'b> {
        match self.on_decode_error {
            OnDecodeError::Drop => Outcome::Undecodable(reason),
            OnDecodeError::Pass => Outcome::Copy {
                key: None,
                value: None,
                partition,
                unmapped: 0,
            },
            OnDecodeError::Stop => Outcome::Held(reason),
        }
    }

    /// What becomes of a record. All rules read it as it came; the cheapest reasons to leave it out come first.
    pub fn apply<'b>(&'b self, record: &Record<'_>, buffers: &'b mut Buffers) -> Outcome<'b> {
        if self.sample.is_some_and(|sample| !sample.takes(record)) {
            return Outcome::Filtered;
        }
        let route = self
            .values
            .as_ref()
            .map_or(Route::Unsaid, |values| values.route(record.key));
        if route == Route::Drop {
            return Outcome::Dropped;
        }
        let routed = match route {
            Route::To(partition) => Partitioning::To(partition),
            _ => Partitioning::Kept,
        };
        if let Some(filter) = &self.filter {
            match filter.judge(record, &mut buffers.scratch) {
                Verdict::Keep => {}
                Verdict::Drop => return Outcome::Filtered,
                Verdict::Undecodable(error) => return self.undecodable(error.to_string(), routed),
                Verdict::Failed(reason) => return Outcome::Failed(reason),
            }
        }
        let Some(values) = &self.values else {
            return Outcome::Copy {
                key: None,
                value: None,
                partition: routed,
                unmapped: 0,
            };
        };
        let (key, mut unmapped) = match values.key(record.key) {
            Some(Some(key)) => (Some(key), 0),
            Some(None) => (None, usize::from(record.key.is_some())),
            None => (None, 0),
        };
        let partition = match routed {
            Partitioning::Kept if key.is_some() => Partitioning::ByKey,
            routed => routed,
        };
        let mut value = None;
        if let Some(bytes) = record.value.filter(|_| values.needs_value()) {
            match values.map(bytes, &mut buffers.scratch, &mut buffers.value) {
                Ok(mapped) => {
                    unmapped += mapped.unmapped;
                    value = (mapped.replaced > 0).then_some(buffers.value.as_slice());
                }
                Err(error) => return self.undecodable(error.to_string(), routed),
            }
        }
        Outcome::Copy {
            key,
            value,
            partition,
            unmapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::SampleBy;

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
        Record {
            topic: "t",
            partition: 1,
            offset: 5,
            timestamp: None,
            key,
            value,
            headers: &(),
        }
    }

    fn transform(filter: Option<&str>, values: Option<&str>) -> Transform {
        Transform {
            filter: filter.map(|text| Filter::compile(text).expect("valid")),
            values: values.map(|text| ValueMap::parse("x", text).expect("valid").0.into()),
            ..Transform::default()
        }
    }

    #[test]
    fn rules_read_the_source_and_the_partition_decides_first() {
        let both = transform(
            Some("value.id == `1` && key == 'a'"),
            Some(
                r#"{"key":{"a":"b","b":"c"},"value.id":{"1":2,"2":3},"key:partition":{"a":4,"x":-1000}}"#,
            ),
        );
        let mut buffers = Buffers::default();
        assert_eq!(
            both.apply(&record(Some(b"a"), Some(br#"{"id":1}"#)), &mut buffers),
            Outcome::Copy {
                key: Some(b"b"),
                value: Some(br#"{"id":2}"#),
                partition: Partitioning::To(4),
                unmapped: 0
            }
        );
        // Dropped without a look at the value.
        assert_eq!(
            both.apply(&record(Some(b"x"), Some(b"{")), &mut buffers),
            Outcome::Dropped
        );
        assert_eq!(
            both.apply(&record(Some(b"b"), Some(br#"{"id":1}"#)), &mut buffers),
            Outcome::Filtered
        );
        let key_only = transform(None, Some(r#"{"key":{"a":"b"}}"#));
        for (key, new, partition, unmapped) in [
            (b"a", Some(&b"b"[..]), Partitioning::ByKey, 0),
            (b"z", None, Partitioning::Kept, 1),
        ] {
            let expected = Outcome::Copy {
                key: new,
                value: None,
                partition,
                unmapped,
            };
            assert_eq!(
                key_only.apply(&record(Some(key), Some(b"\xff")), &mut buffers),
                expected
            );
        }
    }

    #[test]
    fn tombstones_pass_and_what_is_no_json_meets_the_policy() {
        let mut with = transform(None, Some(r#"{"value.a":{"1":2}}"#));
        let mut buffers = Buffers::default();
        let kept = Outcome::Copy {
            key: None,
            value: None,
            partition: Partitioning::Kept,
            unmapped: 0,
        };
        assert_eq!(with.apply(&record(None, None), &mut buffers), kept);
        assert!(matches!(
            with.apply(&record(None, Some(b"x")), &mut buffers),
            Outcome::Undecodable(_)
        ));
        with.on_decode_error = OnDecodeError::Pass;
        assert_eq!(with.apply(&record(None, Some(b"x")), &mut buffers), kept);
        with.on_decode_error = OnDecodeError::Stop;
        assert!(matches!(
            with.apply(&record(None, Some(b"x")), &mut buffers),
            Outcome::Held(_)
        ));
        assert!(transform(None, None).is_raw() && !with.is_raw());
        let none = Transform {
            sample: Some(Sample {
                percent: 0,
                by: SampleBy::Key,
            }),
            ..Transform::default()
        };
        assert_eq!(
            none.apply(&record(Some(b"k"), None), &mut buffers),
            Outcome::Filtered
        );
    }

    #[test]
    fn a_partition_is_kept_only_where_the_counts_are_equal() {
        assert_eq!(Partitioning::Kept.resolve(3, true, 4), Ok(Some(3)));
        assert_eq!(Partitioning::Kept.resolve(3, false, 8), Ok(None));
        assert_eq!(Partitioning::ByKey.resolve(3, true, 4), Ok(None));
        assert_eq!(Partitioning::To(1).resolve(3, false, 2), Ok(Some(1)));
        assert_eq!(
            Partitioning::To(2).resolve(3, true, 2),
            Err(NoSuchPartition {
                partition: 2,
                count: 2
            })
        );
    }
}
