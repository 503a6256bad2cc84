//! Record headers: ordered, duplicates allowed, values may be null.

/// The headers of a record, in order; a name may occur more than once.
///
/// ```
/// use citizenk::Headers;
/// let mut headers = Headers::new();
/// headers.push("trace", Some(b"1".as_slice()));
/// headers.push("trace", Some(b"2".as_slice()));
/// assert_eq!(headers.get("trace"), Some(b"2".as_slice()));
/// assert_eq!(headers.text("trace"), Some("2"));
/// assert_eq!(headers.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(String, Option<Vec<u8>>)>,
}

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a header; earlier ones of the same name stay.
    pub fn push(&mut self, name: impl Into<String>, value: Option<impl AsRef<[u8]>>) {
        self.entries
            .push((name.into(), value.map(|bytes| bytes.as_ref().to_vec())));
    }

    /// The value of the last header of this name, as Kafka's own clients answer it; `None` when
    /// there is none or its value is null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.entries
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .and_then(|(_, value)| value.as_deref())
    }

    /// Like [`Headers::get`], when the value is UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// All headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// How many headers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
