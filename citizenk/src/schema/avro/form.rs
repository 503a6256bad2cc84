//! Types that have an Avro form.
//!
//! A message has two lives: serde's derives are its JSON, this trait is its Avro. So a timestamp is RFC 3339 in
//! one and a number in the other, and JSON pays nothing for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::builder::SchemaBuilder;

/// Types that can be part of an Avro message. `#[citizenk::message(avro)]` implements it.
///
/// | Rust | Avro |
/// |---|---|
/// | `bool`, `f32`, `f64`, `String`, `char` | `boolean`, `float`, `double`, `string`, `string` |
/// | `i8` `i16` `i32` `u8` `u16` | `int` |
/// | `i64` `u32` `u64` | `long`; a `u64` beyond `i64::MAX` is an error when it is written |
/// | `Vec<u8>`, `RawBytes`; `[u8; N]` | `bytes`; `fixed` |
/// | `Option<T>` | union of `null` and `T`, `null` where it is missing |
/// | `Vec`, `VecDeque`, sets; maps with `String` keys | `array`; `map` |
/// | `DateTime<Utc>`, `NaiveDateTime` | `timestamp-millis`, `local-timestamp-millis` |
/// | `NaiveDate`, `NaiveTime` | `date`, `time-millis` |
/// | `Uuid` | `uuid` (a `string`) |
///
/// Other forms of these, and forms of other types, are [`AvroWith`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no Avro form",
    label = "cannot be part of an Avro message",
    note = "put `#[citizenk::message(avro)]` on the type, or say how it is written with `#[avro(with = ..)]` on the field (`Decimal<P, S>`, `AsString`, or an `AvroWith` of your own)"
)]
pub trait AvroType: Sized {
    /// The schema.
    fn schema(builder: &mut SchemaBuilder) -> Value;

    /// Writes a value as its schema says.
    ///
    /// # Errors
    /// When the value has no form in the schema.
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads a value.
    ///
    /// # Errors
    /// When what is there is no such value.
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// What stands for a field that is missing; `None`: it must be there.
    fn missing() -> Option<Self> {
        None
    }

    #[doc(hidden)]
    fn schema_of_many(builder: &mut SchemaBuilder) -> Value {
        json!({ "type": "array", "items": Self::schema(builder) })
    }

    #[doc(hidden)]
    fn encode_many<S: Serializer>(many: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        encode_seq(many.iter(), many.len(), serializer)
    }

    #[doc(hidden)]
    fn decode_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        decode_seq::<Self, Vec<Self>, D>(deserializer)
    }

    #[doc(hidden)]
    fn schema_of_array(builder: &mut SchemaBuilder, _: usize) -> Value {
        Self::schema_of_many(builder)
    }
}

/// How a field of type `T` is written, where that is not `T`'s own way: `#[avro(with = ..)]`.
///
/// ```
/// use citizenk::avro::{AvroWith, SchemaBuilder};
/// use serde::{Deserialize, Deserializer, Serialize, Serializer};
///
/// struct Celsius(f64);
///
/// /// As tenths of a degree.
/// enum Tenths {}
///
/// impl AvroWith<Celsius> for Tenths {
///     fn schema(_: &mut SchemaBuilder) -> serde_json::Value { "int".into() }
///     fn encode<S: Serializer>(value: &Celsius, serializer: S) -> Result<S::Ok, S::Error> {
///         ((value.0 * 10.0).round() as i32).serialize(serializer)
///     }
///     fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Celsius, D::Error> {
///         Ok(Celsius(f64::from(i32::deserialize(deserializer)?) / 10.0))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how `{T}` is written in Avro",
    label = "no `AvroWith<{T}>`"
)]
pub trait AvroWith<T> {
    /// The schema.
    fn schema(builder: &mut SchemaBuilder) -> Value;

    /// Writes a value as its schema says.
    ///
    /// # Errors
    /// When the value has no form in the schema.
    fn encode<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads a value.
    ///
    /// # Errors
    /// When what is there is no such value.
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;

    /// What stands for a field that is missing; `None`: it must be there.
    fn missing() -> Option<T> {
        None
    }
}

/// The type's own way.
#[derive(Debug)]
pub enum Own {}

impl<T: AvroType> AvroWith<T> for Own {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        T::schema(builder)
    }
    #[inline]
    fn encode<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        value.encode(serializer)
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        T::decode(deserializer)
    }
    fn missing() -> Option<T> {
        T::missing()
    }
}

/// A value that serde writes the Avro way.
pub(super) struct Encoded<'a, T, W = Own>(&'a T, PhantomData<W>);

impl<T, W> fmt::Debug for Encoded<'_, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoded")
    }
}

impl<'a, T, W> Encoded<'a, T, W> {
    #[inline]
    pub(super) fn new(value: &'a T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T, W: AvroWith<T>> Serialize for Encoded<'_, T, W> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        W::encode(self.0, serializer)
    }
}

/// Reads a value the Avro way.
pub(super) struct Decoded<T, W = Own>(PhantomData<(fn() -> T, W)>);

impl<T, W> fmt::Debug for Decoded<T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoded")
    }
}

impl<T, W> Decoded<T, W> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<'de, T, W: AvroWith<T>> DeserializeSeed<'de> for Decoded<T, W> {
    type Value = T;
    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        W::decode(deserializer)
    }
}

fn encode_seq<'a, T: AvroType + 'a, S: Serializer>(
    many: impl Iterator<Item = &'a T>,
    len: usize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(len))?;
    for one in many {
        seq.serialize_element(&Encoded::<T>::new(one))?;
    }
    seq.end()
}

fn decode_seq<'de, T: AvroType, C: Default + Extend<T>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<C, D::Error> {
    struct Many<T, C>(PhantomData<(T, C)>);
    impl<'de, T: AvroType, C: Default + Extend<T>> Visitor<'de> for Many<T, C> {
        type Value = C;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<C, A::Error> {
            // Nothing is reserved: how many there are is known when they are here.
            let mut many = C::default();
            while let Some(one) = seq.next_element_seed(Decoded::<T>::NEW)? {
                many.extend(Some(one));
            }
            Ok(many)
        }
    }
    deserializer.deserialize_seq(Many::<T, C>(PhantomData))
}

macro_rules! by_serde {
    ($($ty:ty: $avro:literal),* $(,)?) => {$(
        impl AvroType for $ty {
            fn schema(_: &mut SchemaBuilder) -> Value {
                $avro.into()
            }
            #[inline]
            fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
            #[inline]
            fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }
        }
    )*};
}

by_serde!(
    bool: "boolean",
    i8: "int",
    i16: "int",
    i32: "int",
    u16: "int",
    i64: "long",
    f32: "float",
    f64: "double",
    char: "string",
    String: "string",
    Box<str>: "string",
);

impl AvroType for () {
    fn schema(_: &mut SchemaBuilder) -> Value {
        "null".into()
    }
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer)
    }
}

impl AvroType for u32 {
    fn schema(_: &mut SchemaBuilder) -> Value {
        "long".into()
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(i64::from(*self))
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl AvroType for u64 {
    fn schema(_: &mut SchemaBuilder) -> Value {
        "long".into()
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(*self) {
            Ok(value) => serializer.serialize_i64(value),
            Err(_) => Err(S::Error::custom(format_args!(
                "{self} is beyond the largest Avro long, {}",
                i64::MAX
            ))),
        }
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl AvroType for u8 {
    fn schema(_: &mut SchemaBuilder) -> Value {
        "int".into()
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(i32::from(*self))
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
    fn schema_of_many(_: &mut SchemaBuilder) -> Value {
        "bytes".into()
    }
    #[inline]
    fn encode_many<S: Serializer>(many: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(many)
    }
    #[inline]
    fn decode_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
                Ok(text.as_bytes().to_vec())
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
    fn schema_of_array(builder: &mut SchemaBuilder, len: usize) -> Value {
        builder.fixed(len)
    }
}

impl<T: AvroType> AvroType for Option<T> {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        nullable(T::schema(builder))
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => serializer.serialize_some(&Encoded::<T>::new(value)),
            None => serializer.serialize_none(),
        }
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        decode_option::<T, Own, D>(deserializer)
    }
    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T, W: AvroWith<T>> AvroWith<Option<T>> for Option<W> {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        nullable(W::schema(builder))
    }
    #[inline]
    fn encode<S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_some(&Encoded::<T, W>::new(value)),
            None => serializer.serialize_none(),
        }
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        decode_option::<T, W, D>(deserializer)
    }
    fn missing() -> Option<Option<T>> {
        Some(None)
    }
}

/// A union is nullable by one branch more: a union in a union has no Avro form.
fn nullable(schema: Value) -> Value {
    match schema {
        Value::Array(mut branches) => {
            branches.insert(0, "null".into());
            Value::Array(branches)
        }
        schema => json!(["null", schema]),
    }
}

fn decode_option<'de, T, W: AvroWith<T>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct Nullable<T, W>(PhantomData<(T, W)>);
    impl<'de, T, W: AvroWith<T>> Visitor<'de> for Nullable<T, W> {
        type Value = Option<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value or null")
        }
        fn visit_none<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
            W::decode(deserializer).map(Some)
        }
    }
    deserializer.deserialize_option(Nullable::<T, W>(PhantomData))
}

impl<T: AvroType> AvroType for Box<T> {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        T::schema(builder)
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::encode(self, serializer)
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::decode(deserializer).map(Self::new)
    }
    fn missing() -> Option<Self> {
        T::missing().map(Self::new)
    }
}

impl<T: AvroType> AvroType for Vec<T> {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        T::schema_of_many(builder)
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::encode_many(self, serializer)
    }
    #[inline]
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::decode_many(deserializer)
    }
}

impl<T: AvroType, const N: usize> AvroType for [T; N] {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        T::schema_of_array(builder, N)
    }
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::encode_many(self, serializer)
    }
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let many = T::decode_many(deserializer)?;
        many.try_into().map_err(|many: Vec<T>| {
            D::Error::custom(format_args!("has {} items, not {N}", many.len()))
        })
    }
}

macro_rules! collections {
    ($($ty:ident<T: $($bound:ident),* $(; $hasher:ident)?>),* $(,)?) => {$(
        impl<T: AvroType $(+ $bound)* $(, $hasher: BuildHasher + Default)?> AvroType for $ty<T $(, $hasher)?> {
            fn schema(builder: &mut SchemaBuilder) -> Value {
                json!({ "type": "array", "items": T::schema(builder) })
            }
            fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                encode_seq(self.iter(), self.len(), serializer)
            }
            fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                decode_seq::<T, Self, D>(deserializer)
            }
        }
    )*};
}

collections!(VecDeque<T: >, BTreeSet<T: Ord>, HashSet<T: Eq, Hash; H>);

macro_rules! maps {
    ($($ty:ident $(<$hasher:ident>)?),*) => {$(
        impl<T: AvroType $(, $hasher: BuildHasher + Default)?> AvroType for $ty<String, T $(, $hasher)?> {
            fn schema(builder: &mut SchemaBuilder) -> Value {
                json!({ "type": "map", "values": T::schema(builder) })
            }
            fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(self.len()))?;
                for (key, value) in self {
                    map.serialize_entry(key, &Encoded::<T>::new(value))?;
                }
                map.end()
            }
            fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                decode_map::<T, Self, D>(deserializer)
            }
        }
    )*};
}

maps!(BTreeMap, HashMap<H>);

fn decode_map<'de, T: AvroType, C: Default + Extend<(String, T)>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<C, D::Error> {
    struct Entries<T, C>(PhantomData<(T, C)>);
    impl<'de, T: AvroType, C: Default + Extend<(String, T)>> Visitor<'de> for Entries<T, C> {
        type Value = C;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<C, A::Error> {
            let mut entries = C::default();
            while let Some(key) = map.next_key::<String>()? {
                let value = map.next_value_seed(Decoded::<T>::NEW)?;
                entries.extend(Some((key, value)));
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(Entries::<T, C>(PhantomData))
}

impl AvroType for crate::RawBytes {
    fn schema(_: &mut SchemaBuilder) -> Value {
        "bytes".into()
    }
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::decode_many(deserializer).map(Self)
    }
}
