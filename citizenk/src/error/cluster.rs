//! A name that no cluster has.

/// The app has no cluster of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no cluster `{name}`; there are {}", known.join(", "))]
pub struct UnknownCluster {
    /// The name.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

impl UnknownCluster {
    pub(crate) fn new(name: &str, known: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            known: known.iter().map(|&name| name.to_owned()).collect(),
        }
    }
}
