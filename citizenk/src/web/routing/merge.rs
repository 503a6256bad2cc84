//! Answers of several workers as one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::cut;
use crate::web::Json;
use crate::web::extract::LONGEST;

/// Values that workers have parts of; how two parts become one.
///
/// Lists are joined, sets and maps united (values of one key are merged), numbers added. Anything else says
/// itself what it means:
///
/// ```
/// use citizenk::http::Merge;
///
/// #[derive(Debug, PartialEq)]
/// struct Oldest(u64);
///
/// impl Merge for Oldest {
///     fn merge(&mut self, other: Self) {
///         self.0 = self.0.min(other.0);
///     }
/// }
///
/// let mut oldest = Oldest(7);
/// oldest.merge(Oldest(3));
/// assert_eq!(oldest, Oldest(3));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be merged across workers",
    label = "not mergeable",
    note = "return `Vec<T>`, a map, a number, or implement `citizenk::http::Merge`; `merge = list` needs none of this"
)]
pub trait Merge {
    /// Adds another worker's part.
    fn merge(&mut self, other: Self);
}

impl<T> Merge for Vec<T> {
    fn merge(&mut self, other: Self) {
        self.extend(other);
    }
}

impl<T: Ord> Merge for BTreeSet<T> {
    fn merge(&mut self, other: Self) {
        self.extend(other);
    }
}

impl<K: Ord, V: Merge> Merge for BTreeMap<K, V> {
    fn merge(&mut self, other: Self) {
        for (key, value) in other {
            match self.get_mut(&key) {
                Some(known) => known.merge(value),
                None => {
                    self.insert(key, value);
                }
            }
        }
    }
}

impl<K: Eq + Hash, V: Merge, S: BuildHasher> Merge for HashMap<K, V, S> {
    fn merge(&mut self, other: Self) {
        for (key, value) in other {
            match self.get_mut(&key) {
                Some(known) => known.merge(value),
                None => {
                    self.insert(key, value);
                }
            }
        }
    }
}

impl<T: Merge> Merge for Option<T> {
    fn merge(&mut self, other: Self) {
        match (self.as_mut(), other) {
            (Some(known), Some(other)) => known.merge(other),
            (None, other) => *self = other,
            (Some(_), None) => {}
        }
    }
}

macro_rules! sums {
    ($($int:ty),*; $($float:ty),*) => {
        $(impl Merge for $int {
            /// Adds; at the limit of the type it stays there.
            fn merge(&mut self, other: Self) {
                *self = self.saturating_add(other);
            }
        })*
        $(impl Merge for $float {
            fn merge(&mut self, other: Self) {
                *self += other;
            }
        })*
    };
}

sums!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize; f32, f64);

/// Answers of several workers as one.
#[derive(Debug)]
pub struct Merged {
    /// Of all that fit, as JSON.
    pub(super) json: Vec<u8>,
    /// Which do not, by their place, and why.
    pub(super) misfits: Vec<(usize, String)>,
}

/// Makes one JSON text of those of several workers; an error if it cannot be written.
pub type MergeFn = fn(&[&[u8]]) -> Result<Merged, String>;

/// Return types of functions with `#[citizenk::broadcast_router]`: `Json<T>` or `Result<Json<T>, Problem>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an answer that workers give together",
    label = "not JSON",
    note = "return `Json<T>` or `Result<Json<T>, Problem>`"
)]
pub trait JointAnswer {
    /// What is merged.
    type Part;
}

impl<T> JointAnswer for Json<T> {
    type Part = T;
}

impl<T, E> JointAnswer for Result<Json<T>, E> {
    type Part = T;
}

/// How parts of this type are merged; made by the attribute's code.
#[must_use]
pub fn merging<T: Merge + Serialize + DeserializeOwned>() -> MergeFn {
    |answers| {
        let mut merged: Option<T> = None;
        let mut misfits = Vec::new();
        for (place, answer) in answers.iter().enumerate() {
            let part: T = match serde_json::from_slice(answer) {
                Ok(part) => part,
                Err(error) => {
                    misfits.push((place, cut(error.to_string(), LONGEST)));
                    continue;
                }
            };
            match &mut merged {
                Some(merged) => merged.merge(part),
                None => merged = Some(part),
            }
        }
        let json = serde_json::to_vec(&merged).map_err(|error| error.to_string())?;
        Ok(Merged { json, misfits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_maps_united_and_numbers_added() {
        let json = |merge: MergeFn, answers: &[&[u8]]| {
            let merged = merge(answers).unwrap();
            assert!(merged.misfits.is_empty(), "{merged:?}");
            String::from_utf8(merged.json).unwrap()
        };
        let maps = merging::<BTreeMap<String, u8>>();
        assert_eq!(
            json(maps, &[br#"{"a":1,"b":200}"#, br#"{"b":100,"c":3}"#]),
            r#"{"a":1,"b":255,"c":3}"#
        );
        let lists = merging::<Vec<String>>();
        assert_eq!(
            json(lists, &[br#"["a"]"#, b"[]", br#"["b"]"#]),
            r#"["a","b"]"#
        );
        let options = merging::<Option<f64>>();
        assert_eq!(json(options, &[b"null", b"1.5", b"2"]), "3.5");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let merged = merging::<u8>()(&[b"1", b"\"x\"", b"2", b"300"]).unwrap();
        assert_eq!(merged.json, b"3");
        let places: Vec<usize> = merged.misfits.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [1, 3]);
    }
}
