//! Failures of codecs.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{Excerpt, cut, json_field};

/// How much of serde_json's words is told.
const LONGEST: usize = 300;

/// A record's bytes could not be read as its topic's type.
#[derive(Debug)]
pub struct DecodeError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    codec: &'static str,
    message: String,
    field: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
    missing: Option<Arc<dyn Obtain>>,
}

/// What a record calls the schema it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// The number that stands in front of a value, or in a header.
    Number(u32),
    /// The GUID that stands in a header.
    Guid([u8; 16]),
}

impl From<u32> for SchemaId {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Guid(bytes) => {
                for (index, byte) in bytes.iter().enumerate() {
                    let dash = if [4, 6, 8, 10].contains(&index) {
                        "-"
                    } else {
                        ""
                    };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// What has to be fetched before bytes can be decoded: a writer's schema.
pub(crate) trait Obtain: fmt::Debug + Send + Sync {
    /// The schema's id.
    fn id(&self) -> SchemaId;
    /// Fetches it; may be called again.
    fn obtain(&self) -> Obtaining<'_>;
}

pub(crate) type Obtaining<'a> = Pin<Box<dyn Future<Output = Obtained> + Send + 'a>>;

/// How it went.
#[derive(Debug)]
pub(crate) enum Obtained {
    /// It is there: decode again.
    There,
    /// Nobody has it: the bytes cannot be decoded.
    Nowhere(DecodeError),
    /// Nobody could be asked: try again later.
    Unavailable(String),
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
            missing: None,
        }))
    }

    pub(crate) fn message(codec: &'static str, message: String) -> Self {
        Self(Box::new(Inner {
            codec,
            message,
            field: None,
            source: None,
            missing: None,
        }))
    }

    /// The schema the bytes were written with is not known yet.
    pub(crate) fn missing(codec: &'static str, missing: Arc<dyn Obtain>) -> Self {
        let mut error = Self::message(
            codec,
            format!("the schema with id {} is not known yet", missing.id()),
        );
        error.0.missing = Some(missing);
        error
    }

    /// What has to be fetched before the bytes can be decoded, if that is all there is to it.
    pub(crate) fn obtain(&self) -> Option<&Arc<dyn Obtain>> {
        self.0.missing.as_ref()
    }

    /// The id of the writer's schema, when the bytes could not be decoded because that schema is not known
    /// yet. Lanes fetch it and decode again.
    #[must_use]
    pub fn missing_schema(&self) -> Option<SchemaId> {
        self.obtain().map(|missing| missing.id())
    }

    pub(crate) fn with_field(mut self, field: Option<String>) -> Self {
        self.0.field = field;
        self
    }

    /// A serde_json error with the bytes around the place.
    pub(crate) fn json(source: &serde_json::Error, bytes: &[u8]) -> Self {
        let message = if bytes.is_empty() {
            "the payload is empty".to_owned()
        } else {
            // serde_json repeats the text that should have been something else.
            let source = cut(source.to_string(), LONGEST);
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
