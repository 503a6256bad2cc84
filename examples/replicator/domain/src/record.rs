//! A record as the domain sees it: borrowed bytes and numbers.

/// Headers that can be visited in their order, duplicates included.
pub trait Headers: Sync {
    /// Calls `visit` with name and value of each.
    fn visit(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>));
}

/// Headers with their bytes; a value may be missing.
pub type HeaderList = Vec<(String, Option<Vec<u8>>)>;

impl Headers for () {
    fn visit(&self, _: &mut dyn FnMut(&str, Option<&[u8]>)) {}
}

impl Headers for [(String, Option<Vec<u8>>)] {
    fn visit(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        for (name, value) in self {
            visit(name, value.as_deref());
        }
    }
}

impl Headers for HeaderList {
    fn visit(&self, visit: &mut dyn FnMut(&str, Option<&[u8]>)) {
        self.as_slice().visit(visit);
    }
}

/// One record.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written, in milliseconds since the Unix epoch; `None`: unknown.
    pub timestamp: Option<i64>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a dyn Headers,
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

impl<'a> Record<'a> {
    /// The key as text, if it is UTF-8.
    #[must_use]
    pub fn key_text(&self) -> Option<&'a str> {
        self.key.and_then(|key| std::str::from_utf8(key).ok())
    }
}
