//! Under which subject a topic's schema is registered.

use super::Side;

/// How the subject of a schema is named, as in Confluent's clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SubjectStrategy {
    /// `<topic>-value`, `<topic>-key`: one type per topic.
    #[default]
    TopicName,
    /// The record's full name: one type is the same wherever it is used.
    RecordName,
    /// `<topic>-<record's full name>`: several types in one topic.
    TopicRecordName,
}

impl SubjectStrategy {
    /// The subject; `topic` is the name on the broker, `record` the full name of the schema (`title` in JSON
    /// Schema). `None`: the schema has no name and the strategy needs one.
    ///
    /// ```
    /// use citizenk::schema::{Side, SubjectStrategy};
    ///
    /// let subject = |strategy: SubjectStrategy| strategy.subject("orders", Some("shop.Order"), Side::Value).unwrap();
    /// assert_eq!(subject(SubjectStrategy::TopicName), "orders-value");
    /// assert_eq!(subject(SubjectStrategy::RecordName), "shop.Order");
    /// assert_eq!(subject(SubjectStrategy::TopicRecordName), "orders-shop.Order");
    /// ```
    #[must_use]
    pub fn subject(self, topic: &str, record: Option<&str>, side: Side) -> Option<String> {
        match self {
            Self::TopicName => Some(format!("{topic}-{}", side.name())),
            Self::RecordName => record.map(str::to_owned),
            Self::TopicRecordName => record.map(|record| format!("{topic}-{record}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_subjects_of_their_own_and_a_nameless_schema_needs_the_topic() {
        let named = SubjectStrategy::TopicName.subject("orders", None, Side::Key);
        assert_eq!(named.as_deref(), Some("orders-key"));
        for strategy in [
            SubjectStrategy::RecordName,
            SubjectStrategy::TopicRecordName,
        ] {
            assert_eq!(strategy.subject("orders", None, Side::Value), None);
        }
    }
}
