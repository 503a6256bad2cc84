//! Bytes to values.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::super::logical::{time_of, unscaled};
use super::super::model::{Field, Id, Kind, Logical, Model};
use super::super::resolve::{branch_of, listed, position_of, resolve};
use super::super::value::{AvroRecord, AvroValue, Shape};
use super::json::{Origin, from_json};
use super::{Fallible, deeper, fault};

/// Reads what was written with one schema as another one has it, or as it is.
pub(in super::super) struct ValueReader {
    writer: Model,
    /// `None`: as it was written.
    reader: Option<Arc<Model>>,
    /// By the writer's and the reader's record.
    records: HashMap<(Id, Id), Record>,
}

/// What becomes of a record's fields.
struct Record {
    shape: Arc<Shape>,
    /// By the writer's fields: where the reader has them.
    positions: Vec<Option<usize>>,
    /// What is not in the bytes.
    defaults: Vec<(usize, AvroValue)>,
}

impl ValueReader {
    /// # Errors
    /// What does not fit, with the fields at fault.
    pub(in super::super) fn new(writer: Model, reader: Option<Arc<Model>>) -> Result<Self, String> {
        // Also as itself: what no value can have, or a few bytes could claim without end, is refused.
        let target = reader.as_deref().unwrap_or(&writer);
        resolve(&writer, target).map_err(|mismatches| listed(&mismatches))?;
        let mut records = HashMap::new();
        plan(&writer, writer.root, target, target.root, &mut records)?;
        Ok(Self {
            writer,
            reader,
            records,
        })
    }

    fn target(&self) -> &Model {
        self.reader.as_deref().unwrap_or(&self.writer)
    }

    /// Reads a value that must be all there is.
    pub(in super::super) fn read(&self, bytes: &[u8]) -> Fallible<AvroValue> {
        let mut input = Input(bytes);
        let value = self.value(&mut input, self.writer.root, self.target().root, 0)?;
        match input.0.len() {
            0 => Ok(value),
            left => fault(format!(
                "{left} bytes are left behind the value; it was written with another schema"
            )),
        }
    }

    fn value(
        &self,
        input: &mut Input<'_>,
        writer: Id,
        reader: Id,
        depth: usize,
    ) -> Fallible<AvroValue> {
        let target = self.target();
        if let Kind::Union(branches) = self.writer.kind(writer) {
            let branch = input.index(branches, "branch")?;
            return self.value(input, *branch, reader, deeper(depth)?);
        }
        let Some(reader) = branch_of(&self.writer, writer, target, reader) else {
            return fault("is of a kind the reader does not have");
        };
        match (self.writer.kind(writer), target.kind(reader)) {
            (Kind::Record(_, fields), Kind::Record(..)) => {
                self.record(input, fields, (writer, reader), deeper(depth)?)
            }
            (Kind::Array(from), Kind::Array(to)) => {
                let depth = deeper(depth)?;
                let mut items = Vec::new();
                // Nothing is reserved: how many there are is known when they are here.
                input.blocks(|input| {
                    items.push(self.value(input, *from, *to, depth)?);
                    Ok(())
                })?;
                Ok(AvroValue::Array(items))
            }
            (Kind::Map(from), Kind::Map(to)) => {
                let depth = deeper(depth)?;
                let mut entries = BTreeMap::new();
                input.blocks(|input| {
                    let key = input.text()?.to_owned();
                    entries.insert(key, self.value(input, *from, *to, depth)?);
                    Ok(())
                })?;
                Ok(AvroValue::Map(entries))
            }
            (Kind::Enum(_, symbols, _), Kind::Enum(_, known, default)) => {
                let symbol = input.index(symbols, "symbol")?;
                if known.contains(symbol) {
                    return Ok(AvroValue::Enum(symbol.clone()));
                }
                match default {
                    Some(default) => Ok(AvroValue::Enum(default.clone())),
                    None => fault(format!("`{symbol}` is a symbol the reader does not have")),
                }
            }
            (from, to) => leaf(input, from, to, target.node(reader).logical),
        }
    }

    fn record(
        &self,
        input: &mut Input<'_>,
        fields: &[Field],
        key: (Id, Id),
        depth: usize,
    ) -> Fallible<AvroValue> {
        let Some(record) = self.records.get(&key) else {
            return fault("is of a kind the reader does not have");
        };
        let mut values = vec![AvroValue::Null; record.shape.fields.len()];
        for (position, default) in &record.defaults {
            values[*position] = default.clone();
        }
        let Kind::Record(_, wanted) = self.target().kind(key.1) else {
            return fault("is no record to the reader");
        };
        for (field, position) in fields.iter().zip(&record.positions) {
            let result = match position {
                Some(position) => {
                    let reader = wanted[*position].schema;
                    self.value(input, field.schema, reader, depth)
                        .map(|value| values[*position] = value)
                }
                None => skip(input, &self.writer, field.schema, depth),
            };
            result.map_err(|fault| fault.within(&field.name))?;
        }
        Ok(AvroRecord::of(record.shape.clone(), values).into())
    }
}

/// Finds out what becomes of every record that can stand somewhere below.
fn plan(
    writer: &Model,
    from: Id,
    reader: &Model,
    to: Id,
    records: &mut HashMap<(Id, Id), Record>,
) -> Result<(), String> {
    if let Kind::Union(branches) = writer.kind(from) {
        return branches
            .iter()
            .try_for_each(|branch| plan(writer, *branch, reader, to, records));
    }
    let Some(to) = branch_of(writer, from, reader, to) else {
        return Ok(());
    };
    match (writer.kind(from), reader.kind(to)) {
        (Kind::Array(from), Kind::Array(to)) | (Kind::Map(from), Kind::Map(to)) => {
            plan(writer, *from, reader, *to, records)
        }
        (Kind::Record(_, from_fields), Kind::Record(name, to_fields)) => {
            if records.contains_key(&(from, to)) {
                return Ok(());
            }
            let mut read = vec![false; to_fields.len()];
            let positions: Vec<_> = from_fields
                .iter()
                .map(|field| {
                    let found = position_of(field, to_fields).filter(|found| !read[*found]);
                    if let Some(found) = found {
                        read[found] = true;
                    }
                    found
                })
                .collect();
            let mut defaults = Vec::new();
            for (position, field) in to_fields.iter().enumerate() {
                if let (false, Some(default)) = (read[position], &field.default) {
                    let value = from_json(reader, field.schema, default, Origin::Schema).map_err(
                        |fault| format!("the default of field `{}`: {fault}", field.name),
                    )?;
                    defaults.push((position, value));
                }
            }
            let shape = Shape {
                name: name.full.clone(),
                fields: to_fields.iter().map(|field| field.name.clone()).collect(),
            };
            let record = Record {
                shape: Arc::new(shape),
                positions: positions.clone(),
                defaults,
            };
            records.insert((from, to), record);
            from_fields
                .iter()
                .zip(positions)
                .try_for_each(|(field, position)| match position {
                    Some(position) => plan(
                        writer,
                        field.schema,
                        reader,
                        to_fields[position].schema,
                        records,
                    ),
                    None => Ok(()),
                })
        }
        _ => Ok(()),
    }
}

/// Passes over what the reader does not have.
fn skip(input: &mut Input<'_>, model: &Model, id: Id, depth: usize) -> Fallible<()> {
    let depth = deeper(depth)?;
    match model.kind(id) {
        Kind::Null => {}
        Kind::Boolean => drop(input.take(1)?),
        Kind::Int | Kind::Long | Kind::Enum(..) => drop(input.long()?),
        Kind::Float => drop(input.take(4)?),
        Kind::Double => drop(input.take(8)?),
        Kind::Bytes | Kind::String => drop(input.delimited()?),
        Kind::Fixed(_, size) => drop(input.take(*size)?),
        Kind::Array(items) => input.blocks(|input| skip(input, model, *items, depth))?,
        Kind::Map(values) => input.blocks(|input| {
            input.delimited()?;
            skip(input, model, *values, depth)
        })?,
        Kind::Union(branches) => {
            let branch = *input.index(branches, "branch")?;
            skip(input, model, branch, depth)?;
        }
        Kind::Record(_, fields) => {
            for field in fields {
                skip(input, model, field.schema, depth)?;
            }
        }
    }
    Ok(())
}

/// What holds no other values.
fn leaf(
    input: &mut Input<'_>,
    from: &Kind,
    to: &Kind,
    logical: Option<Logical>,
) -> Fallible<AvroValue> {
    match (from, to) {
        (Kind::Null, _) => Ok(AvroValue::Null),
        (Kind::Boolean, _) => match input.take(1)? {
            [0] => Ok(AvroValue::Boolean(false)),
            [1] => Ok(AvroValue::Boolean(true)),
            other => fault(format!("{other:?} is no boolean")),
        },
        (Kind::Int, _) => number(i64::from(input.int()?), to, logical),
        (Kind::Long, _) => number(input.long()?, to, logical),
        (Kind::Float, _) => {
            let value = f32::from_le_bytes(input.array()?);
            Ok(match to {
                Kind::Double => f64::from(value).into(),
                _ => value.into(),
            })
        }
        (Kind::Double, _) => Ok(f64::from_le_bytes(input.array()?).into()),
        (Kind::Bytes | Kind::String, Kind::String) => {
            let text = input.text()?;
            match logical {
                Some(Logical::Uuid) => match Uuid::parse_str(text) {
                    Ok(uuid) => Ok(uuid.into()),
                    Err(error) => fault(error.to_string()),
                },
                _ => Ok(text.into()),
            }
        }
        (Kind::Bytes | Kind::String, _) => {
            let bytes = input.delimited()?;
            match decimal(bytes, logical)? {
                Some(decimal) => Ok(decimal.into()),
                None => Ok(AvroValue::Bytes(bytes.to_vec())),
            }
        }
        (Kind::Fixed(_, size), _) => {
            let bytes = input.take(*size)?;
            match (logical, decimal(bytes, logical)?) {
                (_, Some(decimal)) => Ok(decimal.into()),
                (Some(Logical::Uuid), _) => match Uuid::from_slice(bytes) {
                    Ok(uuid) => Ok(uuid.into()),
                    Err(error) => fault(error.to_string()),
                },
                _ => Ok(AvroValue::Fixed(bytes.to_vec())),
            }
        }
        // What contains others does not get here.
        (from, _) => fault(format!("a {} cannot be read", from.word())),
    }
}

fn number(number: i64, to: &Kind, logical: Option<Logical>) -> Fallible<AvroValue> {
    #[expect(clippy::cast_precision_loss, reason = "the specification's promotion")]
    match to {
        Kind::Float => return Ok((number as f32).into()),
        Kind::Double => return Ok((number as f64).into()),
        _ => {}
    }
    let Some(logical) = logical else {
        return Ok(match (to, i32::try_from(number)) {
            (Kind::Int, Ok(int)) => int.into(),
            _ => number.into(),
        });
    };
    let read = match logical {
        Logical::Date => i32::try_from(number)
            .ok()
            .and_then(NaiveDate::from_epoch_days)
            .map(AvroValue::from),
        Logical::TimeMillis => number
            .checked_mul(1_000)
            .and_then(time_of)
            .map(AvroValue::from),
        Logical::TimeMicros => time_of(number).map(AvroValue::from),
        Logical::TimestampMillis => DateTime::from_timestamp_millis(number).map(AvroValue::from),
        Logical::TimestampMicros => DateTime::from_timestamp_micros(number).map(AvroValue::from),
        Logical::LocalTimestampMillis => {
            DateTime::from_timestamp_millis(number).map(|time| time.naive_utc().into())
        }
        Logical::LocalTimestampMicros => {
            DateTime::from_timestamp_micros(number).map(|time| time.naive_utc().into())
        }
        _ => Some(number.into()),
    };
    match read {
        Some(value) => Ok(value),
        None => fault(format!("{number} is no {logical}")),
    }
}

/// `None`: the bytes are no decimal, or one of more digits than there is room for.
fn decimal(bytes: &[u8], logical: Option<Logical>) -> Fallible<Option<Decimal>> {
    let Some(Logical::Decimal { precision, scale }) = logical else {
        return Ok(None);
    };
    if precision > MOST_DIGITS {
        return Ok(None);
    }
    let read =
        unscaled(bytes).and_then(|number| Decimal::try_from_i128_with_scale(number, scale).ok());
    match read {
        Some(decimal) => Ok(Some(decimal)),
        None => fault(format!("{} bytes are no {precision} digits", bytes.len())),
    }
}

/// What `rust_decimal` can hold, whatever the digits are.
pub(super) const MOST_DIGITS: u32 = 28;

/// What is left of the bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Fallible<&'a [u8]> {
        match self.0.split_at_checked(len) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => fault(format!("{len} bytes are needed, {} are left", self.0.len())),
        }
    }

    fn array<const N: usize>(&mut self) -> Fallible<[u8; N]> {
        match self.0.split_first_chunk() {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(*taken)
            }
            None => fault(format!("{N} bytes are needed, {} are left", self.0.len())),
        }
    }

    /// Seven bits a byte, the lowest first, the sign in the lowest bit.
    fn long(&mut self) -> Fallible<i64> {
        let mut zigzag = 0_u64;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if index == 9 && bits > 1 {
                return fault("a number of more than 64 bits");
            }
            zigzag |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        fault("a number that does not end")
    }

    fn int(&mut self) -> Fallible<i32> {
        let long = self.long()?;
        i32::try_from(long).or_else(|_| fault(format!("{long} is no int")))
    }

    fn index<'l, T>(&mut self, list: &'l [T], what: &str) -> Fallible<&'l T> {
        let number = self.long()?;
        let found = usize::try_from(number)
            .ok()
            .and_then(|index| list.get(index));
        match found {
            Some(found) => Ok(found),
            None => fault(format!("there is no {what} {number}")),
        }
    }

    fn delimited(&mut self) -> Fallible<&'a [u8]> {
        let len = self.long()?;
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => fault(format!("{len} is no length")),
        }
    }

    fn text(&mut self) -> Fallible<&'a str> {
        match std::str::from_utf8(self.delimited()?) {
            Ok(text) => Ok(text),
            Err(error) => fault(error.to_string()),
        }
    }

    /// Items in blocks, each with its count; a negative count has the block's length behind it.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Fallible<()>) -> Fallible<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            // Each item takes a byte at least (`resolve` sees to it), so that a count that lies ends at the
            // last byte.
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }
}
