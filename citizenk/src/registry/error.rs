//! Why a registry did not do what it was asked.

/// Why a registry did not do what it was asked. No text has credentials in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody answered, or only with failures of their own (5xx).
    #[error("the schema registry cannot be reached: {}", tried.join("; "))]
    Unavailable {
        /// Each URL and what became of it.
        tried: Vec<String>,
    },
    /// It does not know who asks, or does not let them (401, 403).
    #[error(
        "{url} answered {status}: {message}; check the credentials (SCHEMA_REGISTRY_USERNAME and \
         SCHEMA_REGISTRY_PASSWORD, or SCHEMA_REGISTRY_TOKEN)"
    )]
    Unauthorized {
        /// Who answered.
        url: String,
        /// 401 or 403.
        status: u16,
        /// What it said.
        message: String,
    },
    /// It has no such subject, version or schema (404 with a code of the API).
    #[error("{url} does not know {what}: {message} ({code})")]
    NotFound {
        /// Who answered.
        url: String,
        /// What was asked for.
        what: String,
        /// 40401: no such subject; 40402: no such version; 40403: no such schema.
        code: u64,
        /// What it said.
        message: String,
    },
    /// The schema is not compatible with those that are registered (409).
    #[error("the schema is not compatible with those of subject `{subject}`: {message}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// What it said.
        message: String,
    },
    /// It cannot read the schema, or refuses the value (422).
    #[error("{url} refuses {what}: {message} ({code})")]
    Invalid {
        /// Who answered.
        url: String,
        /// What was refused.
        what: String,
        /// E.g. 42201: no valid schema.
        code: u64,
        /// What it said.
        message: String,
    },
    /// Another refusal (4xx).
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// Who answered.
        url: String,
        /// The status.
        status: u16,
        /// What it said, and what may be wrong.
        message: String,
    },
    /// The answer is not one of a schema registry: no JSON, too large, a redirect.
    #[error("{url}: {reason}")]
    Unexpected {
        /// Who answered.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl RegistryError {
    /// Whether asking again may help.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unexpected { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }

    /// Whether the registry works and knows no such subject, version or schema. Everything else is the registry's
    /// trouble or that of who asks, and no reason to give up a record.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let refused = |status| RegistryError::Refused {
            url: String::new(),
            status,
            message: String::new(),
        };
        assert!(refused(429).is_retriable() && !refused(400).is_retriable());
        let unauthorized = RegistryError::Unauthorized {
            url: "u".to_owned(),
            status: 401,
            message: "no".to_owned(),
        };
        assert!(!unauthorized.is_retriable() && !unauthorized.is_unknown());
        assert!(unauthorized.to_string().contains("SCHEMA_REGISTRY_TOKEN"));
    }
}
