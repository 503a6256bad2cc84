//! Who knows schemas.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::SchemaId;

/// Which half of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Side {
    /// `key` or `value`, as in the names of subjects (`orders-value`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }
}

/// The language a schema is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SchemaKind {
    /// Apache Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers, which citizenk neither reads nor writes.
    Protobuf,
}

impl SchemaKind {
    /// As a registry's API calls it: `AVRO`, `JSON`, `PROTOBUF`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// A registry that says nothing means Avro.
    #[cfg(feature = "registry")]
    pub(crate) fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("AVRO") => Some(Self::Avro),
            Some("JSON") => Some(Self::Json),
            Some("PROTOBUF") => Some(Self::Protobuf),
            Some(_) => None,
        }
    }
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A schema that another one names, with its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResolvedReference {
    /// As the schema names it: a full name in Avro, a URI in JSON Schema.
    pub name: String,
    /// Its subject in the registry.
    pub subject: String,
    /// Its version there.
    pub version: u32,
    /// Its text.
    pub text: String,
}

/// A schema as a registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchemaText {
    /// Its language.
    pub kind: SchemaKind,
    /// The schema itself.
    pub text: String,
    /// The schemas it names, in the order of dependency: each names only earlier ones.
    pub references: Vec<ResolvedReference>,
}

impl SchemaText {
    /// An Avro schema that stands for itself.
    #[must_use]
    pub fn avro(text: impl Into<String>) -> Self {
        Self {
            kind: SchemaKind::Avro,
            text: text.into(),
            references: Vec::new(),
        }
    }

    /// A JSON Schema that stands for itself.
    #[must_use]
    pub fn json(text: impl Into<String>) -> Self {
        Self {
            kind: SchemaKind::Json,
            text: text.into(),
            references: Vec::new(),
        }
    }
}

/// The schema of a topic's own values, and where it belongs: what is registered and checked at the start.
#[derive(Clone, Debug)]
pub struct OwnSchema {
    /// The topic's name on the broker.
    pub topic: String,
    /// Key or value.
    pub side: Side,
    /// The schema.
    pub schema: Arc<SchemaText>,
}

/// Why a schema is not there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The source does not have it, and asking again has not helped: the record meets its decode policy.
    #[error("schema {} {id} is not known to {place}", kind_of(*id))]
    Unknown {
        /// The id that was asked for.
        id: SchemaId,
        /// Who was asked, without secrets.
        place: String,
    },
    /// The source cannot be asked at the moment: the partition waits, and the lane asks again.
    #[error("{place} cannot be asked for schema {} {id}: {reason}", kind_of(*id))]
    Unavailable {
        /// The id that was asked for.
        id: SchemaId,
        /// Who was asked, without secrets.
        place: String,
        /// What happened.
        reason: String,
    },
}

fn kind_of(id: SchemaId) -> &'static str {
    match id {
        SchemaId::Number(_) => "id",
        SchemaId::Guid(_) => "GUID",
    }
}

/// An answer that takes its time.
pub type Fetched<'a> =
    Pin<Box<dyn Future<Output = Result<Arc<SchemaText>, SchemaError>> + Send + 'a>>;

/// Knows schemas by id: a registry's client, or [`LocalSchemas`](super::LocalSchemas).
///
/// [`cached`](Self::cached) and [`id_of`](Self::id_of) are asked once per topic and schema, on the thread of
/// a lane: they must not wait for the network.
pub trait SchemaSource: fmt::Debug + Send + Sync {
    /// The schema with this id, if it is known here.
    fn cached(&self, id: SchemaId) -> Option<Arc<SchemaText>>;

    /// Gets it; afterwards [`cached`](Self::cached) has it. Many may ask for one id at once. Retries
    /// within; the caller drops the future when the lane ends.
    fn fetch(&self, id: SchemaId) -> Fetched<'_>;

    /// The id that values of this schema are written with, if it is known: registered or looked up at the
    /// start.
    fn id_of(&self, own: &OwnSchema) -> Option<u32>;

    /// The newest schema of a topic (its name on the broker) and its id, for topics whose schema no program
    /// knows; looked up at the start. By default there is none.
    fn latest(&self, _topic: &str, _side: Side) -> Option<(u32, Arc<SchemaText>)> {
        None
    }
}
