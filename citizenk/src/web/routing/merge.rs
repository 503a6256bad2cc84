//! Answers of several workers as one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::web::Json;

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

/// Makes one JSON text of those of several workers.
pub type MergeFn = fn(&[&[u8]]) -> Result<Vec<u8>, String>;

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
        for answer in answers {
            let part: T = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
            match &mut merged {
                Some(merged) => merged.merge(part),
                None => merged = Some(part),
            }
        }
        serde_json::to_vec(&merged).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_maps_united_and_numbers_added() {
        let merge = merging::<BTreeMap<String, u8>>();
        let merged = merge(&[br#"{"a":1,"b":200}"#, br#"{"b":100,"c":3}"#]).unwrap();
        assert_eq!(merged, br#"{"a":1,"b":255,"c":3}"#);
        let merge = merging::<Vec<String>>();
        assert_eq!(
            merge(&[br#"["a"]"#, b"[]", br#"["b"]"#]).unwrap(),
            br#"["a","b"]"#
        );
        let merge = merging::<Option<f64>>();
        assert_eq!(merge(&[b"null", b"1.5", b"2"]).unwrap(), b"3.5");
        assert!(merge(&[b"\"x\""]).is_err());
    }
}
