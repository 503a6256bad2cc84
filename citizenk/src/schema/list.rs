//! A list that only grows.

use std::sync::OnceLock;

/// Found without a lock, appended to by any thread: for the few schemas one topic meets in its life.
pub(crate) struct AppendList<T> {
    first: OnceLock<Box<Node<T>>>,
}

struct Node<T> {
    value: T,
    next: OnceLock<Box<Node<T>>>,
}

impl<T> Default for AppendList<T> {
    fn default() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }
}

impl<T> AppendList<T> {
    #[inline]
    pub(crate) fn find(&self, mut wanted: impl FnMut(&T) -> bool) -> Option<&T> {
        let mut at = self.first.get();
        while let Some(node) = at {
            if wanted(&node.value) {
                return Some(&node.value);
            }
            at = node.next.get();
        }
        None
    }

    /// The value that is wanted; made and appended when there is none. Of two threads that make one at once,
    /// both get the same.
    pub(crate) fn find_or_add(
        &self,
        mut wanted: impl FnMut(&T) -> bool,
        mut make: impl FnMut() -> T,
    ) -> &T {
        let mut at = &self.first;
        loop {
            let mut is_new = false;
            let node = at.get_or_init(|| {
                is_new = true;
                Box::new(Node {
                    value: make(),
                    next: OnceLock::new(),
                })
            });
            if is_new || wanted(&node.value) {
                return &node.value;
            }
            at = &node.next;
        }
    }
}

impl<T> Drop for AppendList<T> {
    fn drop(&mut self) {
        // One by one: a long list must not be dropped by recursion.
        let mut next = self.first.take();
        while let Some(mut node) = next {
            next = node.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_add_at_once_agree() {
        let list = AppendList::default();
        let found: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..100usize)
                            .map(|wanted| {
                                let (_, at) = list.find_or_add(
                                    |(value, _)| *value == wanted,
                                    || (wanted, Box::new(wanted)),
                                );
                                &raw const **at as usize
                            })
                            .collect()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
        assert!(list.find(|(value, _)| *value == 99).is_some());
        assert!(list.find(|(value, _)| *value == 100).is_none());
    }

    #[test]
    fn a_long_list_is_dropped() {
        let list = AppendList::default();
        // Always the newest first would be quadratic; this is a list of few thousand at most.
        for value in 0..5_000 {
            list.find_or_add(|other| *other == value, || value);
        }
        drop(list);
    }
}
