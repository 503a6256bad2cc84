//! Logical types: times, dates, identifiers, decimals, texts.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use rust_decimal::Decimal as Number;
use serde::de::{Deserializer, Error as _};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, de};
use serde_json::{Value, json};
use uuid::Uuid;

use super::builder::SchemaBuilder;
use super::form::{AvroType, AvroWith};

/// `DateTime<Utc>` as `timestamp-micros`, `NaiveDateTime` as `local-timestamp-micros`, `NaiveTime` as
/// `time-micros`: `#[avro(with = Micros)]`. What is finer than a microsecond is cut off.
#[derive(Debug)]
pub enum Micros {}

/// A decimal with `PRECISION` digits, `SCALE` of them behind the point:
/// `#[avro(with = Decimal<10, 2>)]` for `rust_decimal::Decimal` as `bytes`.
#[derive(Debug)]
pub enum Decimal<const PRECISION: u32, const SCALE: u32> {}

/// The text of `Display`, read with `FromStr`: `#[avro(with = AsString)]`.
#[derive(Debug)]
pub enum AsString {}

fn logical(underlying: &str, logical: &str) -> Value {
    json!({ "type": underlying, "logicalType": logical })
}

fn outside<E: de::Error>(number: impl Display, what: &str) -> E {
    E::custom(format_args!("{number} is no {what}"))
}

macro_rules! numbers {
    (@ Own $ty:ty, $int:ty, $underlying:literal, $logical:literal, |$value:ident| $to:expr, |$number:ident| $from:expr) => {
        impl AvroType for $ty {
            fn schema(_: &mut SchemaBuilder) -> Value {
                logical($underlying, $logical)
            }
            #[inline]
            fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                let number: $int = $to;
                serde::Serialize::serialize(&number, serializer)
            }
            #[inline]
            fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $number = <$int>::deserialize(deserializer)?;
                $from.ok_or_else(|| outside($number, $logical))
            }
        }
    };
    (@ $with:ident $ty:ty, $int:ty, $underlying:literal, $logical:literal, |$value:ident| $to:expr, |$number:ident| $from:expr) => {
        impl AvroWith<$ty> for $with {
            fn schema(_: &mut SchemaBuilder) -> Value {
                logical($underlying, $logical)
            }
            #[inline]
            fn encode<S: Serializer>($value: &$ty, serializer: S) -> Result<S::Ok, S::Error> {
                let number: $int = $to;
                serde::Serialize::serialize(&number, serializer)
            }
            #[inline]
            fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$ty, D::Error> {
                let $number = <$int>::deserialize(deserializer)?;
                $from.ok_or_else(|| outside($number, $logical))
            }
        }
    };
    ($($ty:ty, $with:ident: $int:ty, $underlying:literal, $logical:literal, |$value:ident| $to:expr, |$number:ident| $from:expr;)*) => {$(
        numbers!(@ $with $ty, $int, $underlying, $logical, |$value| $to, |$number| $from);
    )*};
}

numbers! {
    DateTime<Utc>, Own: i64, "long", "timestamp-millis",
        |time| time.timestamp_millis(), |number| DateTime::from_timestamp_millis(number);
    DateTime<Utc>, Micros: i64, "long", "timestamp-micros",
        |time| time.timestamp_micros(), |number| DateTime::from_timestamp_micros(number);
    NaiveDateTime, Own: i64, "long", "local-timestamp-millis",
        |time| time.and_utc().timestamp_millis(), |number| DateTime::from_timestamp_millis(number).map(|time| time.naive_utc());
    NaiveDateTime, Micros: i64, "long", "local-timestamp-micros",
        |time| time.and_utc().timestamp_micros(), |number| DateTime::from_timestamp_micros(number).map(|time| time.naive_utc());
    NaiveDate, Own: i32, "int", "date",
        |date| date.to_epoch_days(), |number| NaiveDate::from_epoch_days(number);
    NaiveTime, Own: i32, "int", "time-millis",
        |time| millis_of(time), |number| time_of(i64::from(number) * 1_000);
    NaiveTime, Micros: i64, "long", "time-micros",
        |time| micros_of(time),
        |number| time_of(number);
}

pub(super) fn millis_of(time: &NaiveTime) -> i32 {
    let millis =
        time.num_seconds_from_midnight() * 1_000 + time.nanosecond() % 1_000_000_000 / 1_000_000;
    // A day has 86,400,000 of them.
    i32::try_from(millis).unwrap_or(i32::MAX)
}

pub(super) fn micros_of(time: &NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000
        + i64::from(time.nanosecond() % 1_000_000_000 / 1_000)
}

pub(super) fn time_of(micros: i64) -> Option<NaiveTime> {
    let micros = u64::try_from(micros).ok()?;
    let seconds = u32::try_from(micros / 1_000_000).ok()?;
    let nanos = u32::try_from(micros % 1_000_000).ok()? * 1_000;
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)
}

impl AvroType for Uuid {
    fn schema(_: &mut SchemaBuilder) -> Value {
        logical("string", "uuid")
    }
    #[inline]
    fn encode<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Uuid;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a UUID")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
                Uuid::parse_str(text).map_err(E::custom)
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Uuid, E> {
                Uuid::from_slice(bytes)
                    .or_else(|_| Uuid::try_parse_ascii(bytes))
                    .map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<T> AvroWith<T> for AsString
where
    T: Display + FromStr,
    T::Err: Display,
{
    fn schema(_: &mut SchemaBuilder) -> Value {
        "string".into()
    }
    fn encode<S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        // Not `collect_str`, which writes parts; Avro needs the length first.
        serializer.serialize_str(&value.to_string())
    }
    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl<const PRECISION: u32, const SCALE: u32> AvroWith<Number> for Decimal<PRECISION, SCALE> {
    fn schema(builder: &mut SchemaBuilder) -> Value {
        if PRECISION == 0 || PRECISION > 28 || SCALE > PRECISION {
            builder.problem(format!(
                "decimal({PRECISION}, {SCALE}) is not possible: 1 to 28 digits, and no more behind the point than there are"
            ));
        }
        json!({ "type": "bytes", "logicalType": "decimal", "precision": PRECISION, "scale": SCALE })
    }

    fn encode<S: Serializer>(value: &Number, serializer: S) -> Result<S::Ok, S::Error> {
        let mut scaled = *value;
        scaled.rescale(SCALE);
        // More digits than there is room for are cut off by `rescale`; a price must not change on its way.
        if scaled != *value || scaled.scale() != SCALE || digits(scaled.mantissa()) > PRECISION {
            return Err(S::Error::custom(format_args!(
                "{value} is no decimal({PRECISION}, {SCALE})"
            )));
        }
        let bytes = scaled.mantissa().to_be_bytes();
        serializer.serialize_bytes(shortest(&bytes))
    }

    fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct Unscaled;
        impl de::Visitor<'_> for Unscaled {
            type Value = i128;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the bytes of a decimal")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<i128, E> {
                unscaled(bytes).ok_or_else(|| E::custom("a decimal of more than 16 bytes"))
            }
        }
        let unscaled = deserializer.deserialize_bytes(Unscaled)?;
        Number::try_from_i128_with_scale(unscaled, SCALE).map_err(D::Error::custom)
    }
}

pub(super) fn digits(mantissa: i128) -> u32 {
    mantissa
        .unsigned_abs()
        .checked_ilog10()
        .map_or(1, |log| log + 1)
}

/// Two's complement without the bytes that only repeat the sign.
pub(super) fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let mut start = 0;
    while start < 15 {
        let repeats = match bytes[start] {
            0 => bytes[start + 1] < 0x80,
            0xFF => bytes[start + 1] >= 0x80,
            _ => false,
        };
        if !repeats {
            break;
        }
        start += 1;
    }
    &bytes[start..]
}

pub(super) fn unscaled(bytes: &[u8]) -> Option<i128> {
    let start = 16usize.checked_sub(bytes.len())?;
    let fill = if bytes.first().is_some_and(|byte| *byte >= 0x80) {
        0xFF
    } else {
        0
    };
    let mut whole = [fill; 16];
    whole[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_is_written_in_the_fewest_bytes(number: i128) {
            let bytes = number.to_be_bytes();
            let short = shortest(&bytes);
            prop_assert_eq!(unscaled(short), Some(number));
            prop_assert!(short.len() == 1 || unscaled(&short[1..]) != Some(number));
        }
    }
}
