//! JSON to values.
//!
//! Both the JSON and the schema may be a stranger's. Which branch of a union is meant shows only by trying, and
//! defaults may have defaults: what has failed is not tried again, and how much defaults make is bounded.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::model::{Field, Id, Kind, Logical, Model};
use super::super::value::{AvroRecord, AvroValue};
use super::read::MOST_DIGITS;
use super::write::unknown;
use super::{Fallible, deeper, fault};

/// Who wrote the JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Origin {
    /// People: times are text, bytes a list of numbers, what may be null may be left out.
    People,
    /// A schema, for the default of a field: logical types as what they stand on, bytes as text.
    Schema,
}

/// A value from JSON, as its schema has it.
pub(in super::super) fn from_json(
    model: &Model,
    id: Id,
    json: &Value,
    origin: Origin,
) -> Fallible<AvroValue> {
    let tried = Tried::default();
    Reader {
        model,
        origin,
        tried: &tried,
    }
    .value(id, json, 0)
}

/// How many values the defaults of one value may make.
const MOST_DEFAULTS: usize = 10_000;

/// What reading one value has cost so far.
#[derive(Default)]
struct Tried {
    /// A branch and the JSON that is none of it, by address: it stays where it is while it is read.
    failed: RefCell<HashSet<(Id, *const Value)>>,
    defaults: Cell<usize>,
}

struct Reader<'a> {
    model: &'a Model,
    origin: Origin,
    tried: &'a Tried,
}

impl Reader<'_> {
    fn value(&self, id: Id, json: &Value, depth: usize) -> Fallible<AvroValue> {
        if self.origin == Origin::Schema {
            let made = self.tried.defaults.get() + 1;
            self.tried.defaults.set(made);
            if made > MOST_DEFAULTS {
                return fault(format!("has more than {MOST_DEFAULTS} values by default"));
            }
        }
        let node = self.model.node(id);
        match (&node.kind, json) {
            (Kind::Union(branches), json) => self.union(id, branches, json, deeper(depth)?),
            (Kind::Record(name, fields), Value::Object(object)) => {
                let record = AvroRecord::new(name.full.clone());
                self.record(fields, record, object, deeper(depth)?)
            }
            (Kind::Array(items), Value::Array(values)) => {
                let depth = deeper(depth)?;
                let values = values.iter();
                let items = values.map(|value| self.value(*items, value, depth));
                Ok(AvroValue::Array(items.collect::<Result<_, _>>()?))
            }
            (Kind::Map(values), Value::Object(object)) => {
                let depth = deeper(depth)?;
                let entries = object.iter().map(|(key, value)| {
                    let value = self.value(*values, value, depth);
                    Ok((key.clone(), value.map_err(|fault| fault.within(key))?))
                });
                Ok(AvroValue::Map(entries.collect::<Fallible<_>>()?))
            }
            (Kind::Enum(_, symbols, _), Value::String(symbol)) => match symbols.contains(symbol) {
                true => Ok(AvroValue::Enum(symbol.clone())),
                false => fault(format!("`{symbol}` is none of {}", symbols.join(", "))),
            },
            (kind, json) => {
                let read = match (self.origin, node.logical) {
                    (Origin::People, Some(logical)) => self.logical(logical, kind, json),
                    _ => None,
                };
                match read.or_else(|| leaf(kind, json)) {
                    Some(value) => Ok(value),
                    None => fault(format!("{} is no {}", kind_of(json), self.model.title(id))),
                }
            }
        }
    }

    fn union(&self, id: Id, branches: &[Id], json: &Value, depth: usize) -> Fallible<AvroValue> {
        let others = branches
            .iter()
            .filter(|id| !matches!(self.model.kind(**id), Kind::Null));
        let others: Vec<_> = others.collect();
        if json.is_null() && others.len() < branches.len() {
            return Ok(AvroValue::Null);
        }
        // Only one can be meant: what is wrong with it is worth saying.
        if let [only] = others[..] {
            return self.value(*only, json, depth);
        }
        let read = others.iter().find_map(|id| {
            let pair = (**id, std::ptr::from_ref(json));
            if self.tried.failed.borrow().contains(&pair) {
                return None;
            }
            let read = self.value(**id, json, depth).ok();
            if read.is_none() {
                self.tried.failed.borrow_mut().insert(pair);
            }
            read
        });
        match read {
            Some(value) => Ok(value),
            None => fault(format!("{} is no {}", kind_of(json), self.model.title(id))),
        }
    }

    fn record(
        &self,
        fields: &[Field],
        mut record: AvroRecord,
        object: &Map<String, Value>,
        depth: usize,
    ) -> Fallible<AvroValue> {
        let known = |name: &str| fields.iter().any(|field| field.name == name);
        if let Some(name) = object.keys().find(|name| !known(name)) {
            return unknown(name, fields);
        }
        for field in fields {
            let value = match (object.get(&field.name), &field.default) {
                (Some(value), _) => self.value(field.schema, value, depth),
                (None, Some(default)) => {
                    let origin = Origin::Schema;
                    Reader { origin, ..*self }.value(field.schema, default, depth)
                }
                (None, None) if self.is_nullable(field.schema) => Ok(AvroValue::Null),
                (None, None) => fault("is missing"),
            };
            record.set(
                &field.name,
                value.map_err(|fault| fault.within(&field.name))?,
            );
        }
        Ok(record.into())
    }

    fn is_nullable(&self, id: Id) -> bool {
        match self.model.kind(id) {
            Kind::Null => true,
            Kind::Union(branches) => branches.iter().any(|id| self.is_nullable(*id)),
            _ => false,
        }
    }

    fn logical(&self, logical: Logical, kind: &Kind, json: &Value) -> Option<AvroValue> {
        let text = match json {
            Value::String(text) => text.as_str(),
            // Not as a floating point number: a price is what its digits say.
            Value::Number(number) if matches!(logical, Logical::Decimal { .. }) => {
                return decimal(logical, &number.to_string());
            }
            _ => return None,
        };
        match (logical, kind) {
            (Logical::Date, _) => text.parse::<NaiveDate>().ok().map(Into::into),
            (Logical::TimeMillis | Logical::TimeMicros, _) => {
                text.parse::<NaiveTime>().ok().map(Into::into)
            }
            (Logical::TimestampMillis | Logical::TimestampMicros, _) => {
                text.parse::<DateTime<Utc>>().ok().map(Into::into)
            }
            (Logical::LocalTimestampMillis | Logical::LocalTimestampMicros, _) => {
                text.parse::<NaiveDateTime>().ok().map(Into::into)
            }
            (Logical::Uuid, _) => Uuid::parse_str(text).ok().map(Into::into),
            (Logical::Decimal { .. }, _) => decimal(logical, text),
            (Logical::Duration, _) => None,
        }
    }
}

fn decimal(logical: Logical, text: &str) -> Option<AvroValue> {
    match logical {
        Logical::Decimal { precision, .. } if precision <= MOST_DIGITS => {
            Decimal::from_str_exact(text).ok().map(Into::into)
        }
        _ => None,
    }
}

fn leaf(kind: &Kind, json: &Value) -> Option<AvroValue> {
    #[expect(clippy::cast_possible_truncation, reason = "what a float is")]
    Some(match kind {
        Kind::Null => json.as_null().map(|()| AvroValue::Null)?,
        Kind::Boolean => json.as_bool()?.into(),
        Kind::Int => i32::try_from(json.as_i64()?).ok()?.into(),
        Kind::Long => json.as_i64()?.into(),
        Kind::Float => (json.as_f64()? as f32).into(),
        Kind::Double => json.as_f64()?.into(),
        Kind::String => json.as_str()?.into(),
        Kind::Bytes => bytes(json)?.into(),
        Kind::Fixed(_, size) => {
            let bytes = bytes(json)?;
            (bytes.len() == *size).then_some(AvroValue::Fixed(bytes))?
        }
        _ => return None,
    })
}

/// A list of numbers, or the characters of the same numbers.
fn bytes(json: &Value) -> Option<Vec<u8>> {
    match json {
        Value::Array(list) => list
            .iter()
            .map(|byte| u8::try_from(byte.as_u64()?).ok())
            .collect(),
        Value::String(text) => text.chars().map(|c| u8::try_from(c).ok()).collect(),
        _ => None,
    }
}

fn kind_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "this number",
        Value::String(_) => "this text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
