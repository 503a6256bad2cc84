//! Values to bytes.

use rust_decimal::Decimal;

use super::super::logical::{digits, micros_of, millis_of, shortest};
use super::super::model::{Field, Id, Kind, Logical, Model, Name};
use super::super::value::{AvroRecord, AvroValue};
use super::json::{Origin, from_json};
use super::{Fallible, deeper, fault};

/// Appends a value as its schema says.
pub(in super::super) fn write(model: &Model, value: &AvroValue, out: &mut Vec<u8>) -> Fallible<()> {
    Writer { model, out }.value(model.root, value, 0)
}

struct Writer<'a> {
    model: &'a Model,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, id: Id, value: &AvroValue, depth: usize) -> Fallible<()> {
        let model = self.model;
        match (model.kind(id), value) {
            (Kind::Union(branches), value) => {
                let index = match branch(model, branches, value) {
                    Some(index) => index,
                    None => {
                        return fault(format!(
                            "a value of type {} is none of a {}",
                            value.word(),
                            model.title(id)
                        ));
                    }
                };
                self.length(index);
                self.value(branches[index], value, deeper(depth)?)
            }
            (Kind::Record(_, fields), AvroValue::Record(record)) => {
                self.record(fields, record, deeper(depth)?)
            }
            (Kind::Array(items), AvroValue::Array(values)) => {
                let depth = deeper(depth)?;
                self.block(values.len(), values, |this, value| {
                    this.value(*items, value, depth)
                })
            }
            (Kind::Map(values), AvroValue::Map(map)) => {
                let depth = deeper(depth)?;
                self.block(map.len(), map, |this, (key, value)| {
                    this.delimited(key.as_bytes());
                    let written = this.value(*values, value, depth);
                    written.map_err(|fault| fault.within(key))
                })
            }
            (Kind::Enum(_, symbols, _), AvroValue::Enum(symbol) | AvroValue::String(symbol)) => {
                match symbols.iter().position(|known| known == symbol) {
                    Some(index) => {
                        self.length(index);
                        Ok(())
                    }
                    None => fault(format!("`{symbol}` is none of {}", symbols.join(", "))),
                }
            }
            (kind, value) => match self.leaf(kind, model.node(id).logical, value) {
                Some(()) => Ok(()),
                None => fault(format!(
                    "{} cannot be written as {}",
                    shown(value),
                    model.title(id)
                )),
            },
        }
    }

    fn record(&mut self, fields: &[Field], record: &AvroRecord, depth: usize) -> Fallible<()> {
        let known = |name: &str| fields.iter().any(|field| field.name == name);
        if let Some((name, _)) = record.fields().find(|(name, _)| !known(name)) {
            return unknown(name, fields);
        }
        for field in fields {
            let written = match record.get(&field.name) {
                Some(value) => self.value(field.schema, value, depth),
                None => self.missing(field, depth),
            };
            written.map_err(|fault| fault.within(&field.name))?;
        }
        Ok(())
    }

    fn missing(&mut self, field: &Field, depth: usize) -> Fallible<()> {
        let Some(default) = &field.default else {
            return fault("is missing and has no default");
        };
        let value = from_json(self.model, field.schema, default, Origin::Schema)?;
        self.value(field.schema, &value, depth)
    }

    /// One block, as most writers do.
    fn block<T>(
        &mut self,
        len: usize,
        items: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Self, T) -> Fallible<()>,
    ) -> Fallible<()> {
        if len > 0 {
            self.length(len);
        }
        for value in items {
            item(self, value)?;
        }
        self.length(0);
        Ok(())
    }

    /// `None`: it does not fit.
    fn leaf(&mut self, kind: &Kind, logical: Option<Logical>, value: &AvroValue) -> Option<()> {
        match (kind, value) {
            (Kind::Null, AvroValue::Null) => {}
            (Kind::Boolean, AvroValue::Boolean(value)) => self.out.push(u8::from(*value)),
            (Kind::Int, value) => {
                let number = i32::try_from(number(logical, value)?).ok()?;
                self.long(i64::from(number));
            }
            (Kind::Long, value) => {
                let number = number(logical, value)?;
                self.long(number);
            }
            (Kind::Float, value) => {
                let float = float(value)?;
                self.out.extend_from_slice(&float.to_le_bytes());
            }
            (Kind::Double, value) => {
                let double = double(value)?;
                self.out.extend_from_slice(&double.to_le_bytes());
            }
            (Kind::String, AvroValue::String(text) | AvroValue::Enum(text)) => {
                self.delimited(text.as_bytes());
            }
            (Kind::String, AvroValue::Uuid(uuid)) => {
                self.delimited(uuid.hyphenated().to_string().as_bytes());
            }
            (Kind::Bytes, AvroValue::Bytes(bytes) | AvroValue::Fixed(bytes)) => {
                self.delimited(bytes);
            }
            (Kind::Bytes, AvroValue::Decimal(decimal)) => {
                let bytes = mantissa(decimal, logical)?.to_be_bytes();
                self.delimited(shortest(&bytes));
            }
            (Kind::Fixed(_, size), AvroValue::Bytes(bytes) | AvroValue::Fixed(bytes))
                if bytes.len() == *size =>
            {
                self.out.extend_from_slice(bytes);
            }
            (Kind::Fixed(_, 16), AvroValue::Uuid(uuid)) => {
                self.out.extend_from_slice(uuid.as_bytes());
            }
            (Kind::Fixed(_, size), AvroValue::Decimal(decimal)) => {
                let bytes = mantissa(decimal, logical)?.to_be_bytes();
                let short = shortest(&bytes);
                let fill = size.checked_sub(short.len())?;
                let sign = if bytes[0] >= 0x80 { 0xFF } else { 0 };
                self.out.extend(std::iter::repeat_n(sign, fill));
                self.out.extend_from_slice(short);
            }
            _ => return None,
        }
        Some(())
    }

    fn delimited(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn length(&mut self, len: usize) {
        // No memory holds more.
        self.long(i64::try_from(len).unwrap_or(i64::MAX));
    }

    fn long(&mut self, number: i64) {
        let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while zigzag >= 0x80 {
            self.out.push(zigzag.to_le_bytes()[0] | 0x80);
            zigzag >>= 7;
        }
        self.out.push(zigzag.to_le_bytes()[0]);
    }
}

pub(super) fn unknown<T>(name: &str, fields: &[Field]) -> Fallible<T> {
    let names = fields.iter().map(|field| field.name.as_str());
    let names: Vec<_> = names.collect();
    fault(format!(
        "there is no field `{name}`; there are {}",
        names.join(", ")
    ))
}

/// Short values as they are, others by their type.
fn shown(value: &AvroValue) -> String {
    match value {
        AvroValue::Array(_)
        | AvroValue::Map(_)
        | AvroValue::Record(_)
        | AvroValue::Bytes(_)
        | AvroValue::Fixed(_)
        | AvroValue::String(_) => format!("a value of type {}", value.word()),
        value => {
            let text = serde_json::to_string(value).unwrap_or_default();
            format!("{text} ({})", value.word())
        }
    }
}

fn number(logical: Option<Logical>, value: &AvroValue) -> Option<i64> {
    Some(match (logical, value) {
        (_, AvroValue::Int(number)) => i64::from(*number),
        (_, AvroValue::Long(number)) => *number,
        (Some(Logical::Date), AvroValue::Date(date)) => i64::from(date.to_epoch_days()),
        (Some(Logical::TimeMillis), AvroValue::Time(time)) => i64::from(millis_of(time)),
        (Some(Logical::TimeMicros), AvroValue::Time(time)) => micros_of(time),
        (Some(Logical::TimestampMillis), AvroValue::Timestamp(time)) => time.timestamp_millis(),
        (Some(Logical::TimestampMicros), AvroValue::Timestamp(time)) => time.timestamp_micros(),
        (Some(Logical::LocalTimestampMillis), AvroValue::LocalTimestamp(time)) => {
            time.and_utc().timestamp_millis()
        }
        (Some(Logical::LocalTimestampMicros), AvroValue::LocalTimestamp(time)) => {
            time.and_utc().timestamp_micros()
        }
        _ => return None,
    })
}

/// A double that is no float is cut, as when numbers are read from JSON.
fn float(value: &AvroValue) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "what a float is")]
    match value {
        AvroValue::Float(value) => Some(*value),
        AvroValue::Double(value) => Some(*value as f32),
        AvroValue::Int(value) => Some(f64::from(*value) as f32),
        _ => None,
    }
}

fn double(value: &AvroValue) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "what a double is")]
    match value {
        AvroValue::Double(value) => Some(*value),
        AvroValue::Float(value) => Some(f64::from(*value)),
        AvroValue::Int(value) => Some(f64::from(*value)),
        AvroValue::Long(value) => Some(*value as f64),
        _ => None,
    }
}

/// `None`: the number has more digits than there is room for, and is not cut.
fn mantissa(decimal: &Decimal, logical: Option<Logical>) -> Option<i128> {
    let Some(Logical::Decimal { precision, scale }) = logical else {
        return None;
    };
    let mut scaled = *decimal;
    scaled.rescale(scale);
    let fits =
        scaled == *decimal && scaled.scale() == scale && digits(scaled.mantissa()) <= precision;
    fits.then(|| scaled.mantissa())
}

/// The branch a value belongs to: the one of its own type, or else the first that takes it.
fn branch(model: &Model, branches: &[Id], value: &AvroValue) -> Option<usize> {
    let rank = |id: &Id| rank(model, *id, value);
    let own = branches.iter().position(|id| rank(id) == Some(Fit::Own));
    own.or_else(|| branches.iter().position(|id| rank(id).is_some()))
}

#[derive(PartialEq, Eq)]
enum Fit {
    Own,
    Taken,
}

fn rank(model: &Model, id: Id, value: &AvroValue) -> Option<Fit> {
    let node = model.node(id);
    let is_called = |name: &Name, wanted: &str| wanted == name.full || wanted == name.short();
    let own = match (&node.kind, value) {
        (Kind::Null, AvroValue::Null)
        | (Kind::Boolean, AvroValue::Boolean(_))
        | (Kind::Float, AvroValue::Float(_))
        | (Kind::Double, AvroValue::Double(_))
        | (Kind::Bytes, AvroValue::Bytes(_))
        | (Kind::Array(_), AvroValue::Array(_))
        | (Kind::Map(_), AvroValue::Map(_)) => true,
        (Kind::Int, AvroValue::Int(_)) | (Kind::Long, AvroValue::Long(_)) => node.logical.is_none(),
        (Kind::String, AvroValue::String(_)) => node.logical.is_none(),
        (Kind::Fixed(_, size), AvroValue::Fixed(bytes)) if bytes.len() == *size => true,
        (Kind::Enum(_, symbols, _), AvroValue::Enum(symbol)) if symbols.contains(symbol) => true,
        (Kind::Enum(_, symbols, _), AvroValue::String(symbol)) if symbols.contains(symbol) => false,
        (Kind::Record(name, fields), AvroValue::Record(record)) => {
            let known = |name: &str| fields.iter().any(|field| field.name == name);
            if is_called(name, record.name()) {
                true
            } else if record.fields().all(|(name, _)| known(name)) {
                false
            } else {
                return None;
            }
        }
        (Kind::Record(..) | Kind::Array(_) | Kind::Map(_) | Kind::Enum(..), _) => return None,
        (kind, value) => {
            // Whether it could be written is found out by writing it.
            let mut out = Vec::new();
            let mut writer = Writer {
                model,
                out: &mut out,
            };
            writer.leaf(kind, node.logical, value)?;
            // A time belongs to the branch of times.
            node.logical.is_some() && !matches!(value, AvroValue::Int(_) | AvroValue::Long(_))
        }
    };
    Some(if own { Fit::Own } else { Fit::Taken })
}
