//! Everything that is wrong with an app, at once.

use std::error::Error;
use std::fmt;

/// What is wrong with an app; found before any socket opens, all of it at once.
#[derive(Debug)]
pub struct BuildError {
    issues: Vec<BuildIssue>,
}

/// One mistake: which component, where it is written, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildIssue {
    component: String,
    location: Option<String>,
    message: String,
}

impl BuildIssue {
    pub(crate) fn new(component: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            component: component.into(),
            location: None,
            message: message.into(),
        }
    }

    pub(crate) fn at_text(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// The component at fault, e.g. "agent `orders`".
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component
    }

    /// What is wrong and what to do.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for BuildIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.component, self.message)?;
        match &self.location {
            Some(location) => write!(f, " ({location})"),
            None => Ok(()),
        }
    }
}

impl BuildError {
    /// `None` when there are no issues.
    pub(crate) fn from_issues(issues: Vec<BuildIssue>) -> Option<Self> {
        (!issues.is_empty()).then_some(Self { issues })
    }

    /// All of them, in registration order.
    #[must_use]
    pub fn issues(&self) -> &[BuildIssue] {
        &self.issues
    }
}

impl From<BuildIssue> for BuildError {
    fn from(issue: BuildIssue) -> Self {
        Self {
            issues: vec![issue],
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.issues.as_slice() {
            [one] => write!(f, "{one}"),
            many => {
                write!(f, "{} mistakes in this app:", many.len())?;
                for issue in many {
                    write!(f, "\n  - {issue}")?;
                }
                Ok(())
            }
        }
    }
}

impl Error for BuildError {}
