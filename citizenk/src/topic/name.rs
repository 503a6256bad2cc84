//! Kafka's rule for topic names, and names made at run time.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::config::DEFAULT_CLUSTER;

/// Says what is wrong with a topic name, if anything: 1 to 249 characters of `a-z A-Z 0-9 . _ -`, not
/// `.` or `..` (org.apache.kafka.common.internals.Topic).
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a topic name must not be empty".to_owned());
    }
    if name == "." || name == ".." {
        return Err(format!("`{name}` cannot be a topic name"));
    }
    if name.len() > 249 {
        return Err(format!(
            "a topic name has at most 249 characters, this one {}",
            name.len()
        ));
    }
    match name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        Some(c) => Err(format!(
            "topic name `{}` contains {c:?}; letters, digits, `.`, `_` and `-` are allowed",
            name.escape_debug()
        )),
        None => Ok(()),
    }
}

/// The same text for the rest of the process: topics are named by constants, and names that are made when
/// an app is built must live as long. Each name is kept once.
pub(crate) fn interned(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}

/// What the program calls a topic: its name on its cluster. Shown as `CLUSTER/NAME`, on the cluster without a
/// name as the name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicId {
    pub(crate) cluster: &'static str,
    pub(crate) name: &'static str,
}

impl TopicId {
    /// Quick for the same constant.
    pub(crate) fn is(self, other: Self) -> bool {
        same(self.name, other.name) && same(self.cluster, other.cluster)
    }

    /// As shown, for the rest of the process.
    pub(crate) fn text(self) -> &'static str {
        if self.cluster == DEFAULT_CLUSTER {
            return self.name;
        }
        interned(&self.to_string())
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cluster != DEFAULT_CLUSTER {
            write!(f, "{}/", self.cluster)?;
        }
        f.write_str(self.name)
    }
}

fn same(one: &'static str, other: &'static str) -> bool {
    std::ptr::eq(one, other) || one == other
}

#[cfg(test)]
mod tests {
    use super::{check_name, interned};

    #[test]
    fn a_name_is_kept_once() {
        let (first, made) = (interned("a.b.retry.1s"), format!("a.b.retry.{}s", 1));
        let second = interned(&made);
        assert!(std::ptr::eq(first, second));
    }

    #[test]
    fn kafkas_rule_holds() {
        for good in ["a", "orders.v1", "A_b-9", &"x".repeat(249)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "ü",
            "; rm",
            "a\r\nb",
            &"x".repeat(250),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
