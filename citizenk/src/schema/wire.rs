//! What an app remembers of the schemas of its topics.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{
    AppendList, Fetched, Frame, LocalSchemas, Named, OwnSchema, Payload, SchemaError, SchemaMode,
    SchemaSource, SchemaText, Side, SubjectStrategy,
};
use crate::error::{DecodeError, Obtain, Obtained, Obtaining, SchemaId};
use crate::topic::TopicId;

/// The registry of topics that name none.
pub(crate) use crate::config::registry::DEFAULT as DEFAULT_REGISTRY;

/// What a topic's constant says beside its codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WireOptions {
    /// Which of the app's registries.
    pub(crate) registry: &'static str,
    /// Schemas that values may have been written with, where the bytes name no registry.
    pub(crate) earlier: &'static [&'static str],
    /// How the own schema gets its id, where the constant says it.
    pub(crate) mode: Option<SchemaMode>,
    /// Under which subject it stands.
    pub(crate) strategy: SubjectStrategy,
    /// Where the schema of values is from.
    pub(crate) schema: ValueSchema,
}

/// Where the schema of a topic's values is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueSchema {
    /// The Rust type is the schema, or there is none.
    Type,
    /// This is it.
    #[cfg(any(feature = "avro", feature = "strict-json"))]
    Text(&'static str),
    /// It stands in a file.
    #[cfg(feature = "avro")]
    File(&'static str),
    /// The newest of the subject.
    #[cfg(feature = "avro")]
    Registry,
}

impl WireOptions {
    pub(crate) const DEFAULT: Self = Self {
        registry: DEFAULT_REGISTRY,
        earlier: &[],
        mode: None,
        strategy: SubjectStrategy::TopicName,
        schema: ValueSchema::Type,
    };

    /// In what these say other things of one topic, of which an app remembers one.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let pairs = [
            ("another registry", self.registry == other.registry),
            ("another schema for its values", self.schema == other.schema),
            ("other earlier schemas", self.earlier == other.earlier),
            ("another schema mode", self.mode == other.mode),
            ("other subjects", self.strategy == other.strategy),
        ];
        pairs.iter().find(|(_, same)| !same).map(|(what, _)| *what)
    }
}

/// One side of one topic, as its constant says it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireSpec {
    pub(crate) topic: TopicId,
    pub(crate) side: Side,
    pub(crate) options: WireOptions,
}

/// The schema of a topic's own keys or values; an error says what is wrong with it and where.
pub(crate) type SchemaFn = fn(&WireSpec) -> Result<Arc<SchemaText>, String>;

/// Maps a topic's name in the program to the one on the broker.
type RealName = dyn Fn(&str) -> String + Send + Sync;

/// The schemas of one app: which sources it has, and what its topics have met so far.
#[derive(Clone)]
pub(crate) struct Schemas(Arc<Inner>);

struct Inner {
    sources: Vec<(&'static str, Arc<dyn SchemaSource>)>,
    real: Box<RealName>,
    wires: AppendList<Arc<Wire>>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.sources.iter().map(|(name, source)| (name, source)))
            .finish()
    }
}

impl Schemas {
    /// `sources` by the names of registries.
    pub(crate) fn new(
        sources: Vec<(&'static str, Arc<dyn SchemaSource>)>,
        real: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            sources,
            real: Box::new(real),
            wires: AppendList::default(),
        }))
    }

    /// Without a registry: ids are this process's own.
    pub(crate) fn local() -> Self {
        Self::of(Arc::new(LocalSchemas::default()))
    }

    /// One source for every topic, whichever registry it names.
    pub(crate) fn of(source: Arc<dyn SchemaSource>) -> Self {
        Self::new(vec![(ANY, source)], str::to_owned)
    }

    /// Without a registry, and nothing in its place.
    pub(crate) fn none() -> Self {
        Self::new(Vec::new(), str::to_owned)
    }

    /// What is remembered of one side of a topic. Found without a lock.
    pub(crate) fn wire(&self, spec: &WireSpec) -> &Arc<Wire> {
        self.0.wires.find_or_add(
            |wire| wire.spec.side == spec.side && wire.spec.topic.is(spec.topic),
            || Arc::new(self.new_wire(*spec)),
        )
    }

    fn new_wire(&self, spec: WireSpec) -> Wire {
        let wanted = spec.options.registry;
        let source = self
            .0
            .sources
            .iter()
            .find(|(name, _)| *name == wanted || *name == ANY)
            .map_or_else(
                || -> Arc<dyn SchemaSource> { Arc::new(Nowhere(wanted)) },
                |(_, source)| source.clone(),
            );
        Wire {
            real: (self.0.real)(spec.topic.text()),
            spec,
            source,
            guids: AppendList::default(),
            next_guid: AtomicU32::new(0),
            json: AppendList::default(),
            #[cfg(feature = "strict-json")]
            rules: AppendList::default(),
            #[cfg(feature = "avro")]
            avro: AppendList::default(),
            #[cfg(feature = "avro")]
            untyped: super::avro::Untyped::default(),
        }
    }
}

impl Default for Schemas {
    fn default() -> Self {
        Self::none()
    }
}

/// The name of a source that stands for every registry.
const ANY: &str = "*";

/// In the place of a registry that is not there.
#[derive(Debug)]
struct Nowhere(&'static str);

impl Nowhere {
    fn place(&self) -> String {
        match self.0 {
            DEFAULT_REGISTRY => "this service, which has no schema registry".to_owned(),
            name => format!("this service, which has no schema registry `{name}`"),
        }
    }
}

impl SchemaSource for Nowhere {
    fn cached(&self, _: SchemaId) -> Option<Arc<SchemaText>> {
        None
    }

    fn fetch(&self, id: SchemaId) -> Fetched<'_> {
        let place = self.place();
        Box::pin(std::future::ready(Err(SchemaError::Unknown { id, place })))
    }

    fn id_of(&self, _: &OwnSchema) -> Option<u32> {
        None
    }
}

/// One side of one topic in one app.
pub(crate) struct Wire {
    pub(crate) spec: WireSpec,
    /// The topic's name on the broker.
    real: String,
    source: Arc<dyn SchemaSource>,
    /// Schemas that headers name by a GUID, and the numbers that stand for them here.
    guids: AppendList<([u8; 16], u32)>,
    next_guid: AtomicU32,
    /// The ids of own JSON Schemas, by the Rust type of the values; nearly always one.
    pub(crate) json: AppendList<(TypeId, u32)>,
    /// What values have to be; nearly always one.
    #[cfg(feature = "strict-json")]
    pub(crate) rules: AppendList<(super::Rules, super::Compiled)>,
    /// By the Rust type of the values; nearly always one.
    #[cfg(feature = "avro")]
    pub(crate) avro: AppendList<super::avro::Typed>,
    /// Of values without a Rust type, and of those who look on.
    #[cfg(feature = "avro")]
    pub(crate) untyped: super::avro::Untyped,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({}, {})", self.real, self.spec.side.name())
    }
}

/// Numbers from here on stand for GUIDs: those of a registry are positive numbers of 32 bits with a sign.
const GUIDS: u32 = 1 << 31;

impl Wire {
    /// Which schema, and what was written with it.
    #[inline]
    pub(crate) fn frame<'a>(
        &self,
        codec: &'static str,
        payload: Payload<'a>,
    ) -> Result<Frame<'a>, DecodeError> {
        match payload.named {
            Named::Inside => {
                Frame::parse(payload.bytes).map_err(|error| DecodeError::new(codec, error))
            }
            named => self.named_frame(codec, named, payload.bytes),
        }
    }

    #[cold]
    fn named_frame<'a>(
        &self,
        codec: &'static str,
        named: Named,
        body: &'a [u8],
    ) -> Result<Frame<'a>, DecodeError> {
        let id = match named {
            Named::Id(SchemaId::Number(id)) => id,
            Named::Id(SchemaId::Guid(guid)) => self.number_of(codec, guid)?,
            Named::Inside | Named::Unreadable(_) => {
                let side = self.spec.side.name();
                return Err(DecodeError::message(
                    codec,
                    format!(
                        "the header `__{side}_schema_id` is none: a byte 0 and four bytes of id, or a byte 1 and 16 bytes of GUID, are expected"
                    ),
                ));
            }
        };
        Ok(Frame { id, body })
    }

    /// The number that stands for a GUID here; given to those whose schema is known.
    fn number_of(&self, codec: &'static str, guid: [u8; 16]) -> Result<u32, DecodeError> {
        let known = |(known, _): &([u8; 16], u32)| *known == guid;
        if let Some((_, number)) = self.guids.find(known) {
            return Ok(*number);
        }
        let id = SchemaId::Guid(guid);
        if self.source.cached(id).is_none() {
            return Err(self.missing(codec, id));
        }
        let next = || GUIDS | self.next_guid.fetch_add(1, Ordering::Relaxed);
        Ok(self.guids.find_or_add(known, || (guid, next())).1)
    }

    /// What the source calls a schema.
    fn name_of(&self, number: u32) -> SchemaId {
        let guid = self.guids.find(|(_, known)| *known == number);
        guid.map_or(SchemaId::Number(number), |(guid, _)| SchemaId::Guid(*guid))
    }

    fn missing(&self, codec: &'static str, id: SchemaId) -> DecodeError {
        let missing = Missing {
            codec,
            id,
            source: self.source.clone(),
        };
        DecodeError::missing(codec, Arc::new(missing))
    }

    /// The writer's schema, or the error that lets the lane fetch it. Asked once per id.
    pub(crate) fn schema(
        &self,
        codec: &'static str,
        id: u32,
    ) -> Result<Arc<SchemaText>, DecodeError> {
        let id = self.name_of(id);
        self.source
            .cached(id)
            .ok_or_else(|| self.missing(codec, id))
    }

    /// A schema of this topic.
    pub(crate) fn own(&self, schema: Arc<SchemaText>) -> OwnSchema {
        OwnSchema {
            topic: self.real.clone(),
            side: self.spec.side,
            schema,
        }
    }

    /// The id that values of this schema are written with. Asked once per schema, once there is one.
    pub(crate) fn id_of(&self, own: &OwnSchema) -> Result<u32, String> {
        self.source.id_of(own).ok_or_else(|| {
            format!(
                "the {} schema of topic `{}` has no id: it is not registered; topics that an agent, timer or hook names with `sends` or `output` are registered when the service starts",
                own.side.name(),
                own.topic
            )
        })
    }
}

#[cfg(feature = "avro")]
impl Wire {
    /// The newest schema of the topic in its registry, as it was at the start.
    pub(crate) fn latest(&self) -> Result<(u32, Arc<SchemaText>), String> {
        self.source.latest(&self.real, self.spec.side).ok_or_else(|| {
            format!(
                "topic `{}` is written with the newest schema of its registry, which nobody has asked for: topics that an agent, timer or hook names with `sends` or `output` get theirs when the service starts",
                self.real
            )
        })
    }
}

/// A schema that is not known yet.
#[derive(Debug)]
struct Missing {
    codec: &'static str,
    id: SchemaId,
    source: Arc<dyn SchemaSource>,
}

impl Obtain for Missing {
    fn id(&self) -> SchemaId {
        self.id
    }

    fn obtain(&self) -> Obtaining<'_> {
        Box::pin(async move {
            match self.source.fetch(self.id).await {
                Ok(_) => Obtained::There,
                Err(SchemaError::Unavailable { reason, place, .. }) => {
                    Obtained::Unavailable(format!("{place}: {reason}"))
                }
                Err(error) => Obtained::Nowhere(DecodeError::new(self.codec, error)),
            }
        })
    }
}
