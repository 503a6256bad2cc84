//! Avro: schemas from types, bytes to values of other schemas and back.
//!
//! In: a type's own schema ([`AvroType`], made by `#[citizenk::message(avro)]`) and the schema bytes were
//! written with. Out: values. What the two schemas have to do with each other is found out once
//! ([`resolve`]), per topic and writer's schema; a record only follows the result. The bytes themselves are
//! the business of `serde_avro_fast`.

mod builder;
mod codec;
mod codegen;
mod form;
mod generic;
mod logical;
mod model;
mod record;
mod resolve;
mod untyped;
mod value;

pub use builder::{FieldName, Fields, SchemaBuilder, TypeName};
pub use codec::{AvroCodec, AvroReader, AvroSchema};
pub(crate) use codec::{
    Typed, decode_bare, decode_framed, decode_single_object, encode_bare, encode_framed,
    encode_single_object, own_schema,
};
pub use codegen::rust_source;
pub use form::{AvroType, AvroWith, Own};
pub use logical::{AsString, Decimal, Micros};
pub use record::{Branch, Part, Position, Read, Written, present, read, schema, skip, unknown};
pub use untyped::{AvroValueCodec, AvroValueReader};
pub(crate) use untyped::{
    Untyped, decode_value, encode_value, own_schema_of_value, shown, value_from_json,
};
pub use value::{AvroRecord, AvroValue};

/// The name of the codec.
pub(crate) const NAME: &str = "avro";
