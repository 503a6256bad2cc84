//! Topics whose values or keys name their schema in a registry: what their constants say.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DEFAULT_CLUSTER, Declared, Direction, Partitioner, Topic};
use crate::codec::{Codec, Decode, DecodeFn, EncodeFn, Json, KeyCodec, TextKey};
use crate::schema::{SchemaMode, SubjectStrategy, WireOptions, json};

impl<V, K> Topic<V, K> {
    /// A topic of JSON values that name their JSON Schema (draft-07) in a registry: Confluent's wire format, a zero
    /// byte and four bytes of schema id before the JSON.
    ///
    /// Reading asks nobody for the schema: the typed decode is the validation. Over HTTP and on the command line
    /// values are plain JSON.
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// #[citizenk::message]
    /// struct Order { id: u64 }
    ///
    /// const ORDERS: Topic<Order, u64> = Topic::json_schema("orders");
    /// assert_eq!(ORDERS.name(), "orders");
    /// ```
    pub const fn json_schema(name: &'static str) -> Self
    where
        V: Serialize + DeserializeOwned + JsonSchema + 'static,
        K: TextKey,
    {
        Self {
            name,
            codec: json::NAME,
            media_type: Json::MEDIA_TYPE,
            decode: Some(DecodeFn::Framed(json::decode::<V>)),
            encode: Some(EncodeFn::Framed(json::encode::<V>)),
            from_json: Some(DecodeFn::Plain(<V as Decode<Json>>::decode)),
            to_json: Some(json::shown),
            schema: |generator| generator.subschema_for::<V>(),
            own: Some(json::own_schema::<V>),
            in_registry: true,
            wire: WireOptions::DEFAULT,
            #[cfg(feature = "strict-json")]
            strict: None,
            key: KeyCodec::text(),
            partitioner: Partitioner::Murmur2,
            direction: Direction::Bidir,
            cluster: DEFAULT_CLUSTER,
            declared: Declared::NOTHING,
        }
    }

    /// Keys are JSON that names its JSON Schema in the registry. A key has one byte form per schema id, so its
    /// partition changes with the schema; numbers and texts are better keys.
    #[must_use]
    pub const fn key_json_schema(self) -> Self
    where
        K: Serialize + DeserializeOwned + JsonSchema + 'static,
    {
        self.key_codec(KeyCodec::json_schema())
    }

    /// The name of the registry that knows the topic's schemas, in an app with several. Default: the one without a
    /// name.
    #[must_use]
    pub const fn registry(mut self, name: &'static str) -> Self {
        self.wire.registry = name;
        self
    }

    /// How the topic's own schemas get their ids when the service starts. Default: what the settings say for the
    /// registry (`mode`), or else [`SchemaMode::AutoRegister`].
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// use citizenk::schema::SchemaMode;
    ///
    /// # #[citizenk::message]
    /// # struct Order { id: u64 }
    /// const ORDERS: Topic<Order> = Topic::json_schema("orders").schema_mode(SchemaMode::CheckOnly);
    /// # assert_eq!(ORDERS.name(), "orders");
    /// ```
    #[must_use]
    pub const fn schema_mode(mut self, mode: SchemaMode) -> Self {
        self.wire.mode = Some(mode);
        self
    }

    /// Under which subject the topic's schemas are registered. Default: [`SubjectStrategy::TopicName`].
    #[must_use]
    pub const fn subjects(mut self, strategy: SubjectStrategy) -> Self {
        self.wire.strategy = strategy;
        self
    }
}

impl<K> KeyCodec<K> {
    /// JSON that names its JSON Schema in the registry: what [`Topic::key_json_schema`] sets, for [`Topic::keyed`].
    pub const fn json_schema() -> Self
    where
        K: Serialize + DeserializeOwned + JsonSchema + 'static,
    {
        Self {
            name: json::NAME,
            encode: EncodeFn::Framed(json::encode::<K>),
            decode: DecodeFn::Framed(json::decode::<K>),
            parse: Some(|text| <K as Decode<Json>>::decode(text.as_bytes())),
            schema: Some(json::own_schema::<K>),
        }
    }
}
