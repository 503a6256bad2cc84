//! Typed topic handles.
//!
//! In: a name and a codec, chosen once in a constant. Out: the decode, encode and partition functions
//! that consumers, producers, routers, tests and documents of this topic all use.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::codec::{
    BigEndian, Codec, Decode, DecodeFn, Encode, EncodeFn, Json, KeyCodec, Raw, TextKey,
};
use crate::config::split_name;
use crate::error::{DecodeError, EncodeError};
#[cfg(feature = "strict-json")]
use crate::schema::Rules;
use crate::schema::{Payload, SchemaFn, Schemas, Side, Wire, WireOptions, WireSpec};

#[cfg(feature = "avro")]
mod avro;
#[cfg(feature = "avro")]
mod avro_value;
pub(crate) mod describe;
mod framed;
pub(crate) mod input;
mod name;
mod partitioner;
#[cfg(feature = "strict-json")]
mod strict;

pub(crate) use crate::config::DEFAULT_CLUSTER;
pub use input::InputTopic;
pub(crate) use name::{TopicId, check_name, interned};
pub use partitioner::Partitioner;

/// What an app may do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// The app only reads it.
    Input,
    /// The app only writes it.
    Output,
    /// Both.
    #[default]
    Bidir,
}

/// JSON text of a value's bytes, for those who look on.
pub(crate) type ToJson = fn(Payload<'_>, &Wire) -> Result<Vec<u8>, DecodeError>;

/// A topic's name, value type, key type, formats and partitioner: one constant used to consume, send,
/// route, test and document.
///
/// ```
/// use citizenk::prelude::*;
///
/// #[citizenk::message]
/// struct Video { camera_id: u32, path: String }
///
/// const VIDEOS: Topic<Video, u32> = Topic::json("videos");
/// assert_eq!(VIDEOS.name(), "videos");
/// ```
pub struct Topic<V, K = String> {
    pub(crate) name: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) decode: Option<DecodeFn<V>>,
    pub(crate) encode: Option<EncodeFn<V>>,
    /// From the JSON of an HTTP body or a command line, where that is not the topic's own format.
    pub(crate) from_json: Option<DecodeFn<V>>,
    /// For those who look on, where the topic's own format is none for people.
    pub(crate) to_json: Option<ToJson>,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    /// The schema of values, in formats that have one.
    pub(crate) own: Option<SchemaFn>,
    /// Values name it by its id in a registry.
    pub(crate) in_registry: bool,
    pub(crate) wire: WireOptions,
    /// What values have to be beside decodable.
    #[cfg(feature = "strict-json")]
    pub(crate) strict: Option<Rules>,
    pub(crate) key: KeyCodec<K>,
    pub(crate) partitioner: Partitioner,
    pub(crate) direction: Direction,
    pub(crate) cluster: &'static str,
    pub(crate) declared: Declared,
}

/// What the app says a topic is to be on the broker; what it leaves out may be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) partitions: Option<u32>,
    pub(crate) replication: Option<u16>,
    pub(crate) configs: &'static [(&'static str, &'static str)],
}

impl Declared {
    const NOTHING: Self = Self {
        partitions: None,
        replication: None,
        configs: &[],
    };
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = self.partitions.map(|count| format!("partitions={count}"));
        let replication = self.replication.map(|count| format!("replication={count}"));
        let configs = self.configs.iter();
        let configs = configs.map(|(name, value)| format!("{name}={value}"));
        let all: Vec<String> = partitions
            .into_iter()
            .chain(replication)
            .chain(configs)
            .collect();
        f.write_str(&all.join(" "))
    }
}

impl<V, K> Clone for Topic<V, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V, K> Copy for Topic<V, K> {}

impl<V, K> fmt::Debug for Topic<V, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Topic({}, {}, key {})",
            self.name, self.codec, self.key.name
        )
    }
}

impl<V> Topic<V, String> {
    /// The same topic with keys of another type, in this format: for keys that have no text form, which every other
    /// constructor asks for.
    ///
    /// ```
    /// use citizenk::codec::KeyCodec;
    /// use citizenk::prelude::*;
    ///
    /// # #[citizenk::message] struct Order { id: u64 }
    /// #[citizenk::message]
    /// struct Place { shop: u32, shelf: u32 }
    ///
    /// const ORDERS: Topic<Order, Place> = Topic::json("orders").keyed(KeyCodec::json());
    /// assert_eq!(ORDERS.name(), "orders");
    /// ```
    #[must_use]
    pub const fn keyed<K>(self, codec: KeyCodec<K>) -> Topic<V, K> {
        Topic {
            name: self.name,
            codec: self.codec,
            media_type: self.media_type,
            decode: self.decode,
            encode: self.encode,
            from_json: self.from_json,
            to_json: self.to_json,
            schema: self.schema,
            own: self.own,
            in_registry: self.in_registry,
            wire: self.wire,
            #[cfg(feature = "strict-json")]
            strict: self.strict,
            key: codec,
            partitioner: self.partitioner,
            direction: self.direction,
            cluster: self.cluster,
            declared: self.declared,
        }
    }
}

impl<V, K> Topic<V, K> {
    /// A topic of JSON values.
    pub const fn json(name: &'static str) -> Self
    where
        V: Decode<Json> + Encode<Json> + JsonSchema,
        K: TextKey,
    {
        Self::with_codec::<Json>(name)
    }

    /// A topic of unmanaged bytes.
    pub const fn raw(name: &'static str) -> Self
    where
        V: Decode<Raw> + Encode<Raw> + JsonSchema,
        K: TextKey,
    {
        Self::with_codec::<Raw>(name)
    }

    /// A topic in any format, also one of your own.
    pub const fn with_codec<C: Codec>(name: &'static str) -> Self
    where
        V: Decode<C> + Encode<C> + JsonSchema,
        K: TextKey,
    {
        Self {
            name,
            codec: C::NAME,
            media_type: C::MEDIA_TYPE,
            decode: Some(DecodeFn::Plain(<V as Decode<C>>::decode)),
            encode: Some(EncodeFn::Plain(<V as Encode<C>>::encode)),
            from_json: None,
            to_json: None,
            schema: |generator| generator.subschema_for::<V>(),
            own: None,
            in_registry: false,
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

    /// A topic this app only reads, of values that need no `Serialize`.
    pub const fn json_input(name: &'static str) -> Self
    where
        V: Decode<Json> + JsonSchema,
        K: TextKey,
    {
        Self {
            name,
            codec: Json::NAME,
            media_type: Json::MEDIA_TYPE,
            decode: Some(DecodeFn::Plain(<V as Decode<Json>>::decode)),
            encode: None,
            from_json: None,
            to_json: None,
            schema: |generator| generator.subschema_for::<V>(),
            own: None,
            in_registry: false,
            wire: WireOptions::DEFAULT,
            #[cfg(feature = "strict-json")]
            strict: None,
            key: KeyCodec::text(),
            partitioner: Partitioner::Murmur2,
            direction: Direction::Input,
            cluster: DEFAULT_CLUSTER,
            declared: Declared::NOTHING,
        }
    }

    /// A topic this app only writes, of values that need no `Deserialize`.
    pub const fn json_output(name: &'static str) -> Self
    where
        V: Encode<Json> + JsonSchema,
        K: TextKey,
    {
        Self {
            name,
            codec: Json::NAME,
            media_type: Json::MEDIA_TYPE,
            decode: None,
            encode: Some(EncodeFn::Plain(<V as Encode<Json>>::encode)),
            from_json: None,
            to_json: None,
            schema: |generator| generator.subschema_for::<V>(),
            own: None,
            in_registry: false,
            wire: WireOptions::DEFAULT,
            #[cfg(feature = "strict-json")]
            strict: None,
            key: KeyCodec::text(),
            partitioner: Partitioner::Murmur2,
            direction: Direction::Output,
            cluster: DEFAULT_CLUSTER,
            declared: Declared::NOTHING,
        }
    }

    /// Restricts what the app may do with the topic; reading an output or sending to an input is a
    /// build error.
    #[must_use]
    pub const fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Chooses how a key selects its partition. Default: [`Partitioner::Murmur2`], as Java clients do.
    #[must_use]
    pub const fn partitioner(mut self, partitioner: Partitioner) -> Self {
        self.partitioner = partitioner;
        self
    }

    /// How many partitions the topic is to have: it is created with as many where the service may create
    /// topics (`--create-topics`), and another number is reported at start. Default: any.
    ///
    /// ```
    /// use citizenk::prelude::*;
    ///
    /// const ORDERS: Topic<RawBytes> = Topic::raw("orders")
    ///     .partitions(12)
    ///     .replication(3)
    ///     .configs(&[("cleanup.policy", "compact"), ("min.insync.replicas", "2")]);
    /// ```
    #[must_use]
    pub const fn partitions(mut self, partitions: u32) -> Self {
        self.declared.partitions = Some(partitions);
        self
    }

    /// On how many brokers each partition is to be kept; as [`Topic::partitions`].
    #[must_use]
    pub const fn replication(mut self, replicas: u16) -> Self {
        self.declared.replication = Some(replicas);
        self
    }

    /// Configs the topic is to have, in Kafka's words; as [`Topic::partitions`]. Those that are not named
    /// may be anything. A second call replaces the first.
    #[must_use]
    pub const fn configs(mut self, configs: &'static [(&'static str, &'static str)]) -> Self {
        self.declared.configs = configs;
        self
    }

    /// Keys are big-endian integers.
    #[must_use]
    pub const fn key_big_endian(self) -> Self
    where
        K: BigEndian + TextKey,
    {
        self.key_codec(KeyCodec::big_endian())
    }

    /// Keys are JSON.
    #[must_use]
    pub const fn key_json(self) -> Self
    where
        K: serde::Serialize + serde::de::DeserializeOwned,
    {
        self.key_codec(KeyCodec::json())
    }

    /// Keys are bytes as they are.
    #[must_use]
    pub const fn key_raw(self) -> Self
    where
        K: Decode<Raw> + Encode<Raw>,
    {
        self.key_codec(KeyCodec::raw())
    }

    /// Keys in a format of your own.
    #[must_use]
    pub const fn key_codec(mut self, codec: KeyCodec<K>) -> Self {
        self.key = codec;
        self
    }

    /// The same format under another name, also one that is known only when the program runs. Names are
    /// kept for the rest of the process, each once. `CLUSTER/NAME` is a topic of another cluster; without
    /// `/` the topic stays on its own.
    ///
    /// ```
    /// use citizenk::{RawBytes, Topic};
    /// const RAW: Topic<RawBytes> = Topic::raw("any");
    /// let topic = RAW.named(&format!("orders-{}", 7));
    /// assert_eq!((topic.cluster_name(), topic.name()), ("default", "orders-7"));
    /// let topic = RAW.named("eu/orders");
    /// assert_eq!((topic.cluster_name(), topic.name()), ("eu", "orders"));
    /// ```
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        let (cluster, name) = split_name(name);
        Self {
            name: interned(name),
            cluster: cluster.map_or(self.cluster, interned),
            ..*self
        }
    }

    /// Puts the topic on another of the app's clusters ([`App::cluster`](crate::App::cluster)); by default
    /// it is on the one without a name. Two clusters may each have a topic of the same name.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// const HERE: Topic<RawBytes> = Topic::raw("orders");
    /// const THERE: Topic<RawBytes> = HERE.cluster("eu");
    /// assert_eq!(THERE.cluster_name(), "eu");
    /// ```
    #[must_use]
    pub const fn cluster(mut self, name: &'static str) -> Self {
        self.cluster = name;
        self
    }

    /// The name in the program; settings may map it to another on the broker (`--topic NAME=REAL`).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The topic's cluster; `default` is the one without a name.
    #[must_use]
    pub const fn cluster_name(&self) -> &'static str {
        self.cluster
    }

    pub(crate) const fn id(&self) -> TopicId {
        TopicId {
            cluster: self.cluster,
            name: self.name,
        }
    }

    /// The same records, as values of another type: lets topics of different types feed one agent.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// # #[citizenk::message] struct Order { id: u32 }
    /// # #[citizenk::message] struct Refund { id: u32 }
    /// # #[citizenk::message] struct Change { id: u32 }
    /// # impl From<Order> for Change { fn from(o: Order) -> Self { Self { id: o.id } } }
    /// # impl From<Refund> for Change { fn from(r: Refund) -> Self { Self { id: r.id } } }
    /// const ORDERS: Topic<Order> = Topic::json("orders");
    /// const REFUNDS: Topic<Refund> = Topic::json("refunds");
    ///
    /// #[citizenk::agent(topics = [ORDERS.as_input::<Change>(), REFUNDS.as_input::<Change>()])]
    /// async fn audit(change: Event<Change>) {
    ///     println!("{}", change.value.id);
    /// }
    /// # App::new("audit").register::<audit>();
    /// ```
    #[must_use]
    pub fn as_input<In>(&self) -> InputTopic<In>
    where
        In: From<V> + 'static,
        V: 'static,
        K: 'static,
    {
        InputTopic::converted(self)
    }

    pub(crate) fn side(&self, side: Side) -> WireSpec {
        WireSpec {
            topic: self.id(),
            side,
            options: self.wire,
        }
    }

    #[inline]
    pub(crate) fn encode_key(
        &self,
        key: &K,
        out: &mut Vec<u8>,
        schemas: &Schemas,
    ) -> Result<(), EncodeError> {
        self.key
            .encode
            .call(key, out, || schemas.wire(&self.side(Side::Key)))
    }

    /// `encode` is the topic's own.
    #[inline]
    pub(crate) fn encode_value(
        &self,
        encode: EncodeFn<V>,
        value: &V,
        out: &mut Vec<u8>,
        schemas: &Schemas,
    ) -> Result<(), EncodeError> {
        encode.call(value, out, || schemas.wire(&self.side(Side::Value)))
    }

    /// `decode` is the topic's own.
    pub(crate) fn decode_value(
        &self,
        decode: DecodeFn<V>,
        bytes: &[u8],
        schemas: &Schemas,
    ) -> Result<V, DecodeError> {
        decode.call(Payload::bare(bytes), || {
            schemas.wire(&self.side(Side::Value))
        })
    }

    pub(crate) fn decode_key(&self, bytes: &[u8], schemas: &Schemas) -> Result<K, DecodeError> {
        self.key
            .decode
            .call(Payload::bare(bytes), || schemas.wire(&self.side(Side::Key)))
    }
}
