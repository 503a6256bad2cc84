//! Values without a Rust type: what a schema that is known only when the program runs has to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use uuid::Uuid;

/// A value of any Avro schema: for topics of others, whose schema is a file or stands in a registry.
///
/// Logical types are their own values, so that nobody need know whether a timestamp is written in milliseconds
/// or microseconds; a decimal of more than 28 digits and a duration are their bytes. As JSON a value looks as that of
/// a message would: times are text (RFC 3339), bytes a list of numbers, and a union is the value itself.
///
/// When a value is written, it needs to fit its schema, not to repeat it: an `Int` may become a `long` or a
/// `double`, a `String` an enum's symbol; fields that are left out get their default.
///
/// ```
/// use citizenk::avro::{AvroRecord, AvroValue};
///
/// let ride = AvroValue::from(AvroRecord::new("Ride").with("zone", 7).with("note", "late"));
/// assert_eq!(ride.get("zone").and_then(AvroValue::as_i64), Some(7));
/// assert_eq!(ride.get("note").and_then(AvroValue::as_str), Some("late"));
/// assert!(ride.get("fare").is_none());
/// assert_eq!(serde_json::to_string(&ride)?, r#"{"zone":7,"note":"late"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum AvroValue {
    /// `null`.
    #[default]
    Null,
    /// `boolean`.
    Boolean(bool),
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `fixed`.
    Fixed(Vec<u8>),
    /// `string`.
    String(String),
    /// A symbol of an `enum`.
    Enum(String),
    /// `array`.
    Array(Vec<AvroValue>),
    /// `map`.
    Map(BTreeMap<String, AvroValue>),
    /// `record`.
    Record(AvroRecord),
    /// `date`.
    Date(NaiveDate),
    /// `time-millis`, `time-micros`.
    Time(NaiveTime),
    /// `timestamp-millis`, `timestamp-micros`.
    Timestamp(DateTime<Utc>),
    /// `local-timestamp-millis`, `local-timestamp-micros`.
    LocalTimestamp(NaiveDateTime),
    /// `uuid`.
    Uuid(Uuid),
    /// `decimal`.
    Decimal(Decimal),
}

impl AvroValue {
    /// A record's field or a map's entry; `None` where there is none, or the value is neither.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Record(record) => record.get(name),
            Self::Map(map) => map.get(name),
            _ => None,
        }
    }

    /// An array's item.
    #[must_use]
    pub fn item(&self, index: usize) -> Option<&Self> {
        self.as_array()?.get(index)
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A `boolean`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// An `int` or `long`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(i64::from(*value)),
            Self::Long(value) => Some(*value),
            _ => None,
        }
    }

    /// A `float` or `double`.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(f64::from(*value)),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// A `string` or an enum's symbol.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) | Self::Enum(value) => Some(value),
            _ => None,
        }
    }

    /// `bytes` or `fixed`.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(value) | Self::Fixed(value) => Some(value),
            _ => None,
        }
    }

    /// An `array`.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// A `map`.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// A `record`.
    #[must_use]
    pub fn as_record(&self) -> Option<&AvroRecord> {
        match self {
            Self::Record(record) => Some(record),
            _ => None,
        }
    }

    /// A timestamp, of either unit.
    #[must_use]
    pub fn as_timestamp(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Timestamp(time) => Some(*time),
            _ => None,
        }
    }

    /// What it is called in messages.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Int(_) => "int",
            Self::Long(_) => "long",
            Self::Float(_) => "float",
            Self::Double(_) => "double",
            Self::Bytes(_) => "bytes",
            Self::Fixed(_) => "fixed",
            Self::String(_) => "string",
            Self::Enum(_) => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record(_) => "record",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::LocalTimestamp(_) => "local timestamp",
            Self::Uuid(_) => "uuid",
            Self::Decimal(_) => "decimal",
        }
    }
}

macro_rules! from {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl From<$ty> for AvroValue {
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from!(
    bool => Boolean,
    i32 => Int,
    u32 => Long,
    i64 => Long,
    f32 => Float,
    f64 => Double,
    &str => String,
    String => String,
    Vec<u8> => Bytes,
    Vec<AvroValue> => Array,
    BTreeMap<String, AvroValue> => Map,
    AvroRecord => Record,
    NaiveDate => Date,
    NaiveTime => Time,
    DateTime<Utc> => Timestamp,
    NaiveDateTime => LocalTimestamp,
    Uuid => Uuid,
    Decimal => Decimal,
);

impl<T: Into<AvroValue>> From<Option<T>> for AvroValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<AvroValue>> FromIterator<T> for AvroValue {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

/// What records of one type have in common.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) fields: Vec<String>,
}

/// A record without a Rust type: names and values, in order.
///
/// ```
/// use citizenk::avro::AvroRecord;
///
/// let mut ride = AvroRecord::new("city.Ride").with("zone", 7);
/// ride.set("zone", 8);
/// ride.set("tip", None::<f64>);
/// assert_eq!(ride.name(), "city.Ride");
/// assert_eq!(ride.fields().map(|(name, _)| name).collect::<Vec<_>>(), ["zone", "tip"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AvroRecord {
    /// Shared by all records that were read with one schema.
    shape: Arc<Shape>,
    values: Vec<AvroValue>,
}

impl AvroRecord {
    /// A record without fields. The name tells it from other records where a union has several, and is not looked
    /// at elsewhere.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            shape: Arc::new(Shape {
                name: name.into(),
                fields: Vec::new(),
            }),
            values: Vec::new(),
        }
    }

    pub(super) fn of(shape: Arc<Shape>, values: Vec<AvroValue>) -> Self {
        Self { shape, values }
    }

    /// The type's name, with its namespace where it was read.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shape.name
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&AvroValue> {
        self.values.get(self.position(field)?)
    }

    /// A field's value, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, field: &str) -> Option<&mut AvroValue> {
        let position = self.position(field)?;
        self.values.get_mut(position)
    }

    /// Sets a field, which is added where there is none.
    pub fn set(&mut self, field: impl AsRef<str>, value: impl Into<AvroValue>) {
        let field = field.as_ref();
        match self.position(field) {
            Some(position) => self.values[position] = value.into(),
            None => {
                Arc::make_mut(&mut self.shape).fields.push(field.to_owned());
                self.values.push(value.into());
            }
        }
    }

    /// [`set`](Self::set), to build a record.
    #[must_use]
    pub fn with(mut self, field: impl AsRef<str>, value: impl Into<AvroValue>) -> Self {
        self.set(field, value);
        self
    }

    /// Names and values, in the order of the schema or as they were added.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &AvroValue)> {
        let names = self.shape.fields.iter().map(String::as_str);
        names.zip(&self.values)
    }

    fn position(&self, field: &str) -> Option<usize> {
        self.shape.fields.iter().position(|name| name == field)
    }
}

impl Serialize for AvroRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in self.fields() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for AvroValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i32(*value),
            Self::Long(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f32(*value),
            Self::Double(value) => serializer.serialize_f64(*value),
            Self::Bytes(value) | Self::Fixed(value) => value.serialize(serializer),
            Self::String(value) | Self::Enum(value) => serializer.serialize_str(value),
            Self::Array(values) => values.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
            Self::Record(record) => record.serialize(serializer),
            Self::Date(value) => value.serialize(serializer),
            Self::Time(value) => value.serialize(serializer),
            Self::Timestamp(value) => value.serialize(serializer),
            Self::LocalTimestamp(value) => value.serialize(serializer),
            Self::Uuid(value) => serializer.collect_str(value),
            Self::Decimal(value) => serializer.collect_str(value),
        }
    }
}

/// Any JSON: which, the topic's Avro schema says.
impl JsonSchema for AvroValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AvroValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

impl crate::message::Message for AvroValue {}
