//! Several records at once.

use std::ops::Deref;

/// Records of one partition, in offset order: values (`Batch<T>`) or events (`Batch<Event<T>>`).
///
/// ```
/// use citizenk::prelude::*;
/// let batch = Batch::from_values(vec![1_u32, 2, 3]);
/// assert_eq!(batch.iter().sum::<u32>(), 6);
/// assert_eq!(batch.len(), 3);
/// for value in batch { assert!(value > 0); }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch<T> {
    items: Vec<T>,
}

impl<T> Batch<T> {
    /// A batch made by hand, for tests of handlers; also of events.
    #[must_use]
    pub fn from_values(items: Vec<T>) -> Self {
        Self { items }
    }

    /// The items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<T> Deref for Batch<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Batch<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T> FromIterator<T> for Batch<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().collect(),
        }
    }
}
