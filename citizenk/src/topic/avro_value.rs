//! Topics of Avro values without a Rust type: the schema is a text, a file, or the registry's.

use super::avro::MEDIA_TYPE;
use super::{DEFAULT_CLUSTER, Declared, Direction, Partitioner, Topic};
use crate::codec::{DecodeFn, EncodeFn, KeyCodec, TextKey};
use crate::schema::avro::{
    self, AvroValue, decode_value, encode_value, own_schema_of_value, shown, value_from_json,
};
use crate::schema::{SchemaFn, ValueSchema, WireOptions};

impl<K: TextKey> Topic<AvroValue, K> {
    /// A topic of Avro values of this schema (JSON text), which name theirs in a registry (Confluent's wire format).
    ///
    /// Values written with other schemas are read as this one has it, as by [`Topic::avro`]; it is registered
    /// and checked as a message's would be.
    ///
    /// ```
    /// use citizenk::avro::AvroValue;
    /// use citizenk::prelude::*;
    ///
    /// const SCHEMA: &str = r#"{"type": "record", "name": "Ride", "fields": [{"name": "zone", "type": "int"}]}"#;
    /// const RIDES: Topic<AvroValue> = Topic::avro_schema("rides", SCHEMA);
    ///
    /// #[citizenk::agent(topics = [RIDES])]
    /// async fn zones(ride: Event<AvroValue>) {
    ///     println!("{:?}", ride.value.get("zone"));
    /// }
    /// # App::new("zones").register::<zones>();
    /// ```
    #[must_use]
    pub const fn avro_schema(name: &'static str, schema: &'static str) -> Self {
        Self::untyped(name, ValueSchema::Text(schema))
    }

    /// The same, with the schema in a file that is read when the service starts; a relative path begins where
    /// the service was started. `include_str!` and [`Topic::avro_schema`] need no file then.
    ///
    /// ```
    /// use citizenk::Topic;
    /// use citizenk::avro::AvroValue;
    ///
    /// const RIDES: Topic<AvroValue> = Topic::avro_file("rides", "schemas/ride.avsc");
    /// assert_eq!(RIDES.name(), "rides");
    /// ```
    #[must_use]
    pub const fn avro_file(name: &'static str, path: &'static str) -> Self {
        Self::untyped(name, ValueSchema::File(path))
    }

    /// A topic of Avro values whose schema only the registry has: they are read as they were written, and written
    /// with the newest schema that the subject has when the service starts.
    ///
    /// ```
    /// use citizenk::Topic;
    /// use citizenk::avro::AvroValue;
    ///
    /// const CHANGES: Topic<AvroValue> = Topic::avro_registry("shop.public.orders");
    /// assert_eq!(CHANGES.name(), "shop.public.orders");
    /// ```
    #[must_use]
    pub const fn avro_registry(name: &'static str) -> Self {
        Self::untyped(name, ValueSchema::Registry)
    }

    const fn untyped(name: &'static str, schema: ValueSchema) -> Self {
        Self {
            name,
            codec: avro::NAME,
            media_type: MEDIA_TYPE,
            decode: Some(DecodeFn::Framed(decode_value)),
            encode: Some(EncodeFn::Framed(encode_value)),
            from_json: Some(DecodeFn::Framed(value_from_json)),
            to_json: Some(shown),
            schema: |generator| generator.subschema_for::<AvroValue>(),
            own: Some(own_schema_of_value as SchemaFn),
            in_registry: true,
            wire: WireOptions {
                schema,
                ..WireOptions::DEFAULT
            },
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
