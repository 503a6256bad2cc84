//! Failures of codecs.

use std::error::Error;
use std::fmt;

use super::{Excerpt, json_field};

/// A record's bytes could not be read as its topic's type.
#[derive(Debug)]
pub struct DecodeError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    codec: &'static str,
    message: String,
    field: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl DecodeError {
    /// Wraps the error of the codec with this name.
    pub fn new(codec: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self(Box::new(Inner {
            codec,
            message: source.to_string(),
            field: None,
            source: Some(source),
        }))
    }

    pub(crate) fn message(codec: &'static str, message: String) -> Self {
        Self(Box::new(Inner {
            codec,
            message,
            field: None,
            source: None,
        }))
    }

    /// A serde_json error with the bytes around the place.
    pub(crate) fn json(source: &serde_json::Error, bytes: &[u8]) -> Self {
        let message = if bytes.is_empty() {
            "the payload is empty".to_owned()
        } else {
            format!("{source} in {}", Excerpt(bytes))
        };
        let mut error = Self::message("json", message);
        error.0.field = json_field(source, bytes);
        error
    }

    /// The path of the field at fault, e.g. `items[2].price`, where the codec knows it.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The codec that failed.
    #[must_use]
    pub fn codec(&self) -> &'static str {
        self.0.codec
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not valid {}: ", self.0.codec)?;
        if let Some(field) = &self.0.field {
            write!(f, "field `{field}`: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// A value could not be written in its topic's format.
#[derive(Debug)]
pub struct EncodeError {
    codec: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl EncodeError {
    /// Wraps the error of the codec with this name.
    pub fn new(codec: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            codec,
            source: source.into(),
        }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot be written as {}: {}", self.codec, self.source)
    }
}

impl Error for EncodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
