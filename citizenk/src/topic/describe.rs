//! What is known of a topic once its types are forgotten: listings, documents, checks, tools.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator};

use crate::codec::KeyCodec;

use super::{Declared, Direction, Partitioner, ToJson, Topic, TopicId};
use crate::error::DecodeError;
#[cfg(feature = "cli")]
use crate::record::Headers;
#[cfg(feature = "cli")]
use crate::schema::Named;
use crate::schema::{OwnSchema, Payload, SchemaFn, Schemas, Side, WireOptions, WireSpec};
use crate::staging::OutputTopic;

/// Checks and re-encodes JSON text into a topic's own format.
type Transcode =
    Arc<dyn Fn(&[u8], &mut Vec<u8>, &Schemas) -> Result<(), DecodeError> + Send + Sync>;
/// Makes a key's bytes from its text form.
type KeyFromText =
    Arc<dyn Fn(&str, &mut Vec<u8>, &Schemas) -> Result<(), DecodeError> + Send + Sync>;

/// The schema of one side.
#[derive(Clone, Copy)]
struct Own {
    spec: WireSpec,
    schema: SchemaFn,
    in_registry: bool,
}

impl Own {
    /// The program does not know it: it is the registry's newest.
    fn is_registrys(&self) -> bool {
        #[cfg(feature = "avro")]
        return self.spec.side == Side::Value
            && self.spec.options.schema == crate::schema::ValueSchema::Registry;
        #[cfg(not(feature = "avro"))]
        false
    }

    fn resolved(&self, real: &str) -> Result<OwnSchema, String> {
        Ok(OwnSchema {
            topic: real.to_owned(),
            side: self.spec.side,
            schema: (self.schema)(&self.spec)?,
        })
    }
}

/// A topic without its types.
#[derive(Clone)]
pub(crate) struct TopicInfo {
    /// Among all topics of the app: `CLUSTER/NAME`, or the name alone on the cluster without a name.
    pub(crate) name: &'static str,
    /// Among those of its cluster.
    pub(crate) plain: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) value_type: &'static str,
    pub(crate) key_codec: &'static str,
    pub(crate) key_type: &'static str,
    /// The `KeyCodec<K>` itself, for whoever knows `K`.
    pub(crate) key: Arc<dyn Any + Send + Sync>,
    pub(crate) partitioner: Partitioner,
    pub(crate) direction: Direction,
    pub(crate) cluster: &'static str,
    /// Boxed: it is seldom looked at, and whatever names a topic carries it.
    pub(crate) declared: Box<Declared>,
    /// A retry topic: the runtime alone writes and reads it.
    pub(crate) internal: bool,
    schema: fn(&mut SchemaGenerator) -> Schema,
    /// The schemas of keys and values, in formats that have them.
    own: [Option<Own>; 2],
    pub(crate) wire: WireOptions,
    #[cfg(feature = "strict-json")]
    strict: Option<crate::schema::Rules>,
    /// Values arrive as JSON over HTTP, though the topic's own format is another.
    pub(crate) takes_json: bool,
    /// The bytes of a value that arrived as text (HTTP body, command line): decoded as the topic's
    /// own type first, so that a wrong field is an error here and not in a consumer.
    check_value: Transcode,
    key_from_text: KeyFromText,
    to_json: Option<ToJson>,
    /// Those of the app, once the topic is part of one.
    schemas: Schemas,
}

impl fmt::Debug for TopicInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicInfo({}, {})", self.name, self.codec)
    }
}

impl TopicInfo {
    pub(crate) fn of<V: 'static, K: 'static>(topic: &Topic<V, K>) -> Self {
        let topic = *topic;
        let (encode, key) = (topic.encode, topic.key);
        // What arrives as text is the topic's own format, unless that is none for people.
        let text = topic.from_json.or(topic.decode);
        Self {
            name: topic.id().text(),
            plain: topic.name,
            codec: topic.codec,
            media_type: topic.media_type,
            value_type: type_name::<V>(),
            key_codec: topic.key.name,
            key_type: type_name::<K>(),
            key: Arc::new(topic.key),
            partitioner: topic.partitioner,
            direction: topic.direction,
            cluster: topic.cluster,
            declared: Box::new(topic.declared),
            internal: false,
            schema: topic.schema,
            wire: topic.wire,
            #[cfg(feature = "strict-json")]
            strict: topic.strict,
            takes_json: topic.from_json.is_some(),
            to_json: topic.to_json,
            schemas: Schemas::none(),
            own: [
                topic.own.map(|schema| Own {
                    spec: topic.side(Side::Value),
                    schema,
                    in_registry: topic.in_registry,
                }),
                // Keys name their schema or have none.
                key.schema.map(|schema| Own {
                    spec: topic.side(Side::Key),
                    schema,
                    in_registry: true,
                }),
            ],
            check_value: Arc::new(move |bytes, out, schemas| {
                let wire = || schemas.wire(&topic.side(Side::Value));
                let json = Payload::bare(bytes);
                match (text, encode) {
                    (Some(text), Some(encode)) => encode
                        .call(&text.call(json, wire)?, out, wire)
                        .map_err(|error| DecodeError::new("encode", error)),
                    (Some(text), None) => {
                        text.call(json, wire).map(|_| out.extend_from_slice(bytes))
                    }
                    (None, _) => {
                        out.extend_from_slice(bytes);
                        Ok(())
                    }
                }
            }),
            key_from_text: Arc::new(move |text, out, schemas| {
                let parse = key.parse.ok_or_else(|| {
                    DecodeError::message(
                        key.name,
                        "keys of this topic have no text form".to_owned(),
                    )
                })?;
                topic
                    .encode_key(&parse(text)?, out, schemas)
                    .map_err(|error| DecodeError::new(key.name, error))
            }),
        }
    }

    /// The same topic with the schemas of its app.
    pub(crate) fn with_schemas(&self, schemas: &Schemas) -> Self {
        Self {
            schemas: schemas.clone(),
            ..self.clone()
        }
    }

    /// Checks text as the topic's own type and appends its bytes in the topic's format.
    pub(crate) fn check_value(&self, text: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        (self.check_value)(text, out, &self.schemas)
    }

    #[cfg(feature = "cli")]
    pub(crate) fn is_shown_as_json(&self) -> bool {
        self.to_json.is_some()
    }

    /// JSON text of a value's bytes; `None`: they are for people as they are, or for nobody.
    #[cfg(feature = "cli")]
    pub(crate) fn value_as_json(
        &self,
        bytes: &[u8],
        headers: &Headers,
    ) -> Option<Result<Vec<u8>, DecodeError>> {
        let to_json = self.to_json?;
        let wire = self.schemas.wire(&self.side(Side::Value));
        let [_, named] = Named::of_headers(|visit| {
            headers.iter().for_each(|(name, value)| visit(name, value));
        });
        Some(to_json(Payload { bytes, named }, wire))
    }

    /// Appends a key's bytes in the topic's format.
    pub(crate) fn key_from_text(&self, text: &str, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        (self.key_from_text)(text, out, &self.schemas)
    }

    /// The schemas that its keys and values are written with; `real` is the topic's name on the broker.
    pub(crate) fn own_schemas(&self, real: &str) -> Result<Vec<OwnSchema>, String> {
        let known = self.own.iter().flatten().filter(|own| !own.is_registrys());
        known.map(|own| own.resolved(real)).collect()
    }

    /// What its values have to be beside decodable can be checked.
    #[cfg(feature = "strict-json")]
    pub(crate) fn check_rules(&self) -> Result<(), String> {
        self.strict
            .map_or(Ok(()), |rules| rules.compile().map(|_| ()))
    }

    #[cfg(not(feature = "strict-json"))]
    pub(crate) fn check_rules(&self) -> Result<(), String> {
        Ok(())
    }

    /// What its values have to be, as a part of the generator's document.
    #[cfg(any(feature = "web", feature = "cli"))]
    pub(crate) fn value_schema(&self, generator: &mut SchemaGenerator) -> Schema {
        #[cfg(feature = "strict-json")]
        if let Some(own) = self
            .strict
            .and_then(|rules| rules.document(self.name, generator))
        {
            return own;
        }
        (self.schema)(generator)
    }

    /// By whom values are checked, for messages.
    pub(crate) fn validation(&self) -> &'static str {
        #[cfg(feature = "strict-json")]
        if let Some(rules) = self.strict {
            return rules.name();
        }
        "by type"
    }

    /// The schema of values is the newest the registry has.
    pub(crate) fn takes_latest(&self) -> bool {
        self.own.iter().flatten().any(Own::is_registrys)
    }

    /// The same, for documents; empty for formats without schemas.
    #[cfg(feature = "web")]
    pub(crate) fn schemas_json(&self, real: &str) -> serde_json::Value {
        // What has no schema is said when the app is checked.
        let own = self.own_schemas(real).unwrap_or_default();
        let schemas = own.iter().map(|own| {
            let schema: serde_json::Value =
                serde_json::from_str(&own.schema.text).unwrap_or_default();
            serde_json::json!({ "side": own.side.name(), "type": own.schema.kind.name(), "schema": schema })
        });
        schemas.collect()
    }

    /// Those of them that stand in a registry.
    #[cfg(feature = "registry")]
    pub(crate) fn registered_schemas(&self, real: &str) -> Result<Vec<OwnSchema>, String> {
        let known = self.own.iter().flatten();
        let known = known.filter(|own| own.in_registry && !own.is_registrys());
        known.map(|own| own.resolved(real)).collect()
    }

    /// Keys or values name their schema by its id in a registry.
    pub(crate) fn needs_registry(&self) -> bool {
        self.own.iter().flatten().any(|own| own.in_registry)
    }

    /// One side of the topic, with the options of its constant.
    pub(crate) fn side(&self, side: Side) -> WireSpec {
        WireSpec {
            topic: self.id(),
            side,
            options: self.wire,
        }
    }

    pub(crate) fn key_codec_of<K: 'static>(&self) -> Option<KeyCodec<K>> {
        self.key.downcast_ref::<KeyCodec<K>>().copied()
    }

    pub(crate) fn id(&self) -> TopicId {
        TopicId {
            cluster: self.cluster,
            name: self.plain,
        }
    }

    /// To be sent to under its name in the program.
    pub(crate) fn output(&self) -> OutputTopic {
        OutputTopic {
            cluster: self.cluster,
            name: self.name.to_owned(),
            partitioner: self.partitioner,
        }
    }
}
