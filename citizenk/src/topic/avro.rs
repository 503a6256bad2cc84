//! Topics of Avro values, and Avro keys.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{DEFAULT_CLUSTER, Declared, Direction, Partitioner, Topic};
use crate::codec::{Decode, DecodeFn, EncodeFn, Json, KeyCodec, TextKey};
use crate::schema::WireOptions;
use crate::schema::avro::{
    self, AvroType, decode_bare, decode_framed, decode_single_object, encode_bare, encode_framed,
    encode_single_object, own_schema, shown,
};

/// The media type of Avro bytes.
pub(super) const MEDIA_TYPE: &str = "application/avro";

impl<V, K> Topic<V, K> {
    /// A topic of Avro values that name their schema in a registry (Confluent's wire format).
    ///
    /// Values written with other schemas are read as `V`: by name or alias, with defaults for what is
    /// missing, numbers widened. What does not fit is an error that names the field. Over HTTP and on the
    /// command line values are JSON.
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// #[citizenk::message(avro(namespace = "shop"))]
    /// struct Order { id: u64, placed: DateTime<Utc>, note: Option<String> }
    ///
    /// const ORDERS: Topic<Order, u64> = Topic::avro("orders");
    /// assert_eq!(ORDERS.name(), "orders");
    /// ```
    pub const fn avro(name: &'static str) -> Self
    where
        V: AvroType + DeserializeOwned + JsonSchema + 'static,
        K: TextKey,
    {
        Self::of_avro(
            name,
            "avro",
            DecodeFn::Framed(decode_framed::<V>),
            EncodeFn::Framed(encode_framed::<V>),
            true,
        )
    }

    /// A topic of Avro values in single-object encoding: each begins with the fingerprint of its schema, and
    /// no registry is needed. Earlier schemas are named with [`Topic::written_with`].
    pub const fn avro_single_object(name: &'static str) -> Self
    where
        V: AvroType + DeserializeOwned + JsonSchema + 'static,
        K: TextKey,
    {
        Self::of_avro(
            name,
            "avro single-object",
            DecodeFn::Framed(decode_single_object::<V>),
            EncodeFn::Framed(encode_single_object::<V>),
            false,
        )
    }

    /// A topic of Avro values and nothing else: no byte says which schema they were written with. They are
    /// written with `V`'s and read with it, or with the one that [`Topic::written_with`] names.
    pub const fn avro_bare(name: &'static str) -> Self
    where
        V: AvroType + DeserializeOwned + JsonSchema + 'static,
        K: TextKey,
    {
        Self::of_avro(
            name,
            "avro bare",
            DecodeFn::Framed(decode_bare::<V>),
            EncodeFn::Framed(encode_bare::<V>),
            false,
        )
    }

    const fn of_avro(
        name: &'static str,
        codec: &'static str,
        decode: DecodeFn<V>,
        encode: EncodeFn<V>,
        in_registry: bool,
    ) -> Self
    where
        V: AvroType + DeserializeOwned + JsonSchema + 'static,
        K: TextKey,
    {
        Self {
            name,
            codec,
            media_type: MEDIA_TYPE,
            decode: Some(decode),
            encode: Some(encode),
            from_json: Some(DecodeFn::Plain(<V as Decode<Json>>::decode)),
            to_json: match in_registry {
                true => Some(shown),
                false => None,
            },
            schema: |generator| generator.subschema_for::<V>(),
            own: Some(own_schema::<V>),
            in_registry,
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
}

impl<V, K> Topic<V, K> {
    /// Schemas (as JSON text) that values without a registry may have been written with: for
    /// [`Topic::avro_single_object`] those of earlier versions, for [`Topic::avro_bare`] the one all values
    /// were written with.
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// #[citizenk::message(avro)]
    /// struct Point { x: f64, #[serde(default)] y: f64 }
    ///
    /// const FIRST: &str = r#"{"type": "record", "name": "Point", "fields": [{"name": "x", "type": "int"}]}"#;
    /// const POINTS: Topic<Point> = Topic::avro_single_object("points").written_with(&[FIRST]);
    /// # assert_eq!(POINTS.name(), "points");
    /// ```
    #[must_use]
    pub const fn written_with(mut self, schemas: &'static [&'static str]) -> Self {
        self.wire.earlier = schemas;
        self
    }

    /// Keys are Avro values that name their schema in the registry. A key has one byte form per schema id, so
    /// its partition changes with the schema; numbers and texts are better keys.
    #[must_use]
    pub const fn key_avro(self) -> Self
    where
        K: AvroType + DeserializeOwned + 'static,
    {
        self.key_codec(KeyCodec::avro())
    }
}

impl<K> KeyCodec<K> {
    /// Avro that names its schema in the registry: what [`Topic::key_avro`] sets, for [`Topic::keyed`].
    pub const fn avro() -> Self
    where
        K: AvroType + DeserializeOwned + 'static,
    {
        Self {
            name: avro::NAME,
            encode: EncodeFn::Framed(encode_framed::<K>),
            decode: DecodeFn::Framed(decode_framed::<K>),
            parse: Some(|text| <K as Decode<Json>>::decode(text.as_bytes())),
            schema: Some(own_schema::<K>),
        }
    }
}
