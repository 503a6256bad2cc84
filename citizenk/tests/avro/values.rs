//! Values without a type: against the bytes of typed values, which another crate writes; and in an app.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use citizenk::avro::{
    AvroCodec, AvroRecord, AvroValue, AvroValueCodec, AvroValueReader, Decimal, Micros,
};
use proptest::prelude::*;
use serde_json::{Value, json};

#[citizenk::message(avro(namespace = "n"))]
#[derive(Clone, Debug, PartialEq)]
struct All {
    flag: bool,
    small: i32,
    large: i64,
    single: f32,
    double: f64,
    text: String,
    bytes: Vec<u8>,
    fixed: [u8; 3],
    kind: Kind,
    many: Vec<i64>,
    named: BTreeMap<String, Option<String>>,
    tree: Tree,
    payment: Payment,
    at: DateTime<Utc>,
    #[avro(with = Option<Micros>)]
    exactly: Option<DateTime<Utc>>,
    local: NaiveDateTime,
    day: NaiveDate,
    time: NaiveTime,
    #[avro(with = Micros)]
    fine: NaiveTime,
    id: uuid::Uuid,
    #[avro(with = Decimal<10, 2>)]
    price: rust_decimal::Decimal,
}

#[citizenk::message(avro)]
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    One,
    Two,
}

#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
struct Tree {
    leaves: Vec<Tree>,
}

#[citizenk::message(avro)]
#[derive(Clone, Debug, PartialEq)]
#[serde(untagged)]
enum Payment {
    Cash { tip: f32 },
    Card { number: String },
}

fn same(text: &str) -> AvroValueCodec {
    AvroValueCodec::new(text).unwrap()
}

fn between(writer: &str, reader: &str) -> AvroValueReader {
    same(reader).reader(writer).unwrap()
}

fn written(text: &str, value: &AvroValue) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match same(text).write(value, &mut out) {
        Ok(()) => Ok(out),
        Err(error) => Err(error.to_string()),
    }
}

fn people(text: &str, json: &Value) -> Result<AvroValue, String> {
    let read = same(text).value_of_json(json);
    read.map_err(|error| match error.field() {
        Some(field) => format!("field `{field}`: {error}"),
        None => error.to_string(),
    })
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)
}

proptest! {
    /// Typed bytes are read without the type, are the same JSON, and are written as the same bytes, from JSON, too.
    #[test]
    fn a_typed_value_and_one_without_a_type_are_the_same_bytes_and_json(
        flag: bool, small: i32, large: i64, single in -1e9..1e9_f32, double in -1e9..1e9_f64, text: String,
        bytes: Vec<u8>, fixed: [u8; 3], many: Vec<i64>, leaves in 0..4_usize, card: bool,
        named in proptest::collection::btree_map(".{0,5}", any::<Option<String>>(), 0..4),
        micros in -62_000_000_000_000_000..200_000_000_000_000_000_i64, cents in -9_999_999_999..9_999_999_999_i64,
    ) {
        let exactly = DateTime::from_timestamp_micros(micros).unwrap();
        let at = DateTime::from_timestamp_millis(micros / 1000).unwrap();
        let payment = match card {
            true => Payment::Card { number: text.clone() },
            false => Payment::Cash { tip: single },
        };
        let all = All {
            flag, small, large, single, double, text, bytes, fixed, many, named, payment, at,
            kind: if flag { Kind::One } else { Kind::Two },
            tree: Tree { leaves: vec![Tree { leaves: Vec::new() }; leaves] },
            exactly: flag.then_some(exactly),
            local: at.naive_utc(), day: at.date_naive(), time: at.time(), fine: exactly.time(),
            id: uuid::Uuid::from_u128(large as u128),
            price: rust_decimal::Decimal::new(cents, 2),
        };
        let codec = AvroCodec::<All>::new().unwrap();
        let mut typed = Vec::new();
        codec.write(&all, &mut typed).unwrap();
        let text = codec.schema().json();

        let value = same(text).read(&typed).unwrap();
        prop_assert_eq!(&written(text, &value).unwrap(), &typed);
        let json = serde_json::to_value(&value).unwrap();
        prop_assert_eq!(&json, &serde_json::to_value(&all).unwrap());
        let again = people(text, &json).unwrap();
        prop_assert_eq!(&written(text, &again).unwrap(), &typed);
        // Read as itself through the resolution of two schemas.
        prop_assert_eq!(between(text, text).read(&typed).unwrap(), value);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, fields in 0..3_usize) {
        let fields = ["many", "named", "tree"][fields];
        let codec = AvroCodec::<All>::new().unwrap();
        let _ = same(codec.schema().json()).read(&bytes);
        let list = record(&format!(
            r#"{{"name": "{fields}", "type": {{"type": "array", "items": {{"type": "map", "values": ["null", "bytes", "double"]}}}}}}"#
        ));
        let _ = same(&list).read(&bytes);
        let _ = between(&list, &record("")).read(&bytes);
    }
}

#[test]
fn what_an_older_schema_wrote_is_read_as_the_newer_has_it() {
    let writer = record(
        r#"{"name": "id", "type": "int"}, {"name": "gone", "type": {"type": "array", "items": ["null", "string"]}},
           {"name": "old", "type": "bytes"}, {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}},
           {"name": "maybe", "type": "float"}"#,
    );
    let reader = record(
        r#"{"name": "maybe", "type": ["null", "double"]}, {"name": "id", "type": "long"},
           {"name": "new", "aliases": ["old"], "type": "string"},
           {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "Z"], "default": "Z"}},
           {"name": "added", "type": {"type": "map", "values": "bytes"}, "default": {"x": "\u00ff"}}"#,
    );
    let bytes = written(
        &writer,
        &AvroRecord::new("")
            .with("id", 7)
            .with("gone", ["x"].into_iter().collect::<AvroValue>())
            .with("old", b"text".to_vec())
            .with("kind", "B")
            .with("maybe", 0.5_f32)
            .into(),
    )
    .unwrap();
    let value = between(&writer, &reader).read(&bytes).unwrap();
    assert_eq!(
        serde_json::to_value(&value).unwrap(),
        json!({ "maybe": 0.5, "id": 7, "new": "text", "kind": "Z", "added": { "x": [255] } })
    );
    let text = record(r#"{"name": "id", "type": "string"}"#);
    let error = same(&text).reader(&writer).unwrap_err();
    assert!(error.contains("field `id`: was written as int"), "{error}");
}

#[test]
fn a_union_gives_each_value_its_own_branch() {
    let union = r#"["null", "int", "long", "float", "double", "string", "bytes", "boolean",
        {"type": "enum", "name": "E", "symbols": ["A"]}, {"type": "fixed", "name": "F", "size": 2},
        {"type": "map", "values": "int"}, {"type": "record", "name": "n.R", "fields": [{"name": "a", "type": "int"}]},
        {"type": "record", "name": "n.S", "fields": [{"name": "a", "type": "int", "default": 3}]}]"#;
    let values = [
        AvroValue::Null,
        AvroValue::Int(1),
        AvroValue::Long(1),
        AvroValue::Float(1.0),
        AvroValue::Double(1.0),
        AvroValue::from("A"),
        AvroValue::Bytes(vec![1, 2]),
        AvroValue::Boolean(true),
        AvroValue::Enum("A".to_owned()),
        AvroValue::Fixed(vec![1, 2]),
        AvroValue::Map(BTreeMap::from([("k".to_owned(), 1.into())])),
        AvroRecord::new("n.R").with("a", 1).into(),
        AvroRecord::new("n.S").with("a", 1).into(),
    ];
    for (index, value) in values.into_iter().enumerate() {
        let bytes = written(union, &value).unwrap();
        assert_eq!(usize::from(bytes[0]), 2 * index, "{value:?}");
        assert_eq!(same(union).read(&bytes).unwrap(), value);
    }
    // What is none of them itself goes where it fits.
    let times = r#"["null", {"type": "long", "logicalType": "timestamp-millis"}]"#;
    assert_eq!(written(times, &AvroValue::Int(-1)).unwrap(), [2, 1]);
    let default = AvroRecord::new("S").into();
    assert_eq!(written(union, &default).unwrap(), [24, 6]);
}

#[test]
fn what_does_not_fit_is_named() {
    let schema = record(
        r#"{"name": "id", "type": "int"}, {"name": "stops", "default": [], "type":
            {"type": "array", "items": {"type": "record", "name": "Stop", "fields": [
                {"name": "zone", "type": ["null", "int"], "default": null},
                {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}}]}}}"#,
    );
    let id = || AvroRecord::new("R").with("id", 1);
    let stop = |value: AvroRecord| id().with("stops", AvroValue::Array(vec![value.into()]));
    let price: rust_decimal::Decimal = "1.234".parse().unwrap();
    let cases = [
        (
            AvroRecord::new("R"),
            "field `id`: is missing and has no default",
        ),
        (
            id().with("ID", 2),
            "there is no field `ID`; there are id, stops",
        ),
        (
            AvroRecord::new("R").with("id", "x"),
            "field `id`: a value of type string cannot be written as int",
        ),
        (
            AvroRecord::new("R").with("id", i64::MAX),
            "cannot be written as int",
        ),
        (
            stop(AvroRecord::new("Stop").with("zone", true)),
            "field `stops.zone`: a value of type boolean is none of",
        ),
        (
            stop(AvroRecord::new("Stop").with("price", price)),
            "field `stops.price`: \"1.234\" (decimal) cannot be written as decimal(4, 2)",
        ),
    ];
    for (value, expected) in cases {
        let error = written(&schema, &value.into()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let cases = [
        (json!({ "id": "x" }), "field `id`: this text is no int"),
        (json!({ "id": 1, "no": 2 }), "there is no field `no`"),
        (
            json!({ "id": 1, "stops": [{ "price": 1.5, "zone": "x" }] }),
            "field `stops.zone`: this text is no int",
        ),
        (json!({}), "field `id`: is missing"),
    ];
    for (json, expected) in cases {
        let error = people(&schema, &json).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let value = people(&schema, &json!({ "id": 1, "stops": [{ "price": 1.5 }] })).unwrap();
    // Stops: one block of one; null; 150 in two bytes.
    assert_eq!(written(&schema, &value).unwrap(), [2, 2, 0, 4, 0, 150, 0]);
}

#[test]
fn counts_that_lie_and_depth_without_end_are_errors() {
    let longs = r#"{"type": "array", "items": "long"}"#;
    let error = same(longs)
        .read(&[0xfe, 0xff, 0xff, 0xff, 0x0f, 2])
        .unwrap_err();
    assert!(error.to_string().contains("does not end"), "{error}");
    // A negative count, the length of its block, two items.
    let read = same(longs).read(&[3, 4, 2, 4, 0]).unwrap();
    assert_eq!(read, [1_i64, 2].into_iter().collect());
    let codec = AvroCodec::<Tree>::new().unwrap();
    let error = same(codec.schema().json()).read(&[2; 1000]).unwrap_err();
    assert!(error.to_string().contains("nested more than"), "{error}");
    let nulls = AvroValueCodec::new(r#"{"type": "array", "items": "null"}"#);
    assert!(nulls.unwrap_err().contains("take no bytes"));
}

/// Trying each branch of a union at each level would take 2^30 tries.
#[test]
fn json_that_is_no_branch_is_refused_at_once() {
    let both = |name: &str, own: &str| {
        format!(
            r#"{{"type": "record", "name": "{name}", "fields": [{{"name": "left", "type": [{own}, "int"]}}]}}"#
        )
    };
    let schema = format!(
        r#"["int", {}]"#,
        both(
            "Add",
            &format!(r#""Add", {}"#, both("Mul", r#""Add", "Mul""#))
        )
    );
    let mut tree = json!("no number");
    for _ in 0..30 {
        tree = json!({ "left": tree });
    }
    let refused = people(&schema, &tree).unwrap_err();
    assert!(refused.contains("an object is no"), "{refused}");
    let mut tree = json!(1);
    for _ in 0..30 {
        tree = json!({ "left": tree });
    }
    people(&schema, &tree).expect("a tree of numbers");
}

#[test]
fn defaults_that_have_defaults_come_to_an_end() {
    let endless = r#"{"type": "record", "name": "N", "fields": [
        {"name": "next", "type": ["N", "null"], "default": {}}
    ]}"#;
    let many = (0..20).rev().fold(r#""int""#.to_owned(), |inner, level| {
        let default = if level == 19 { "1" } else { "{}" };
        let (again, name) = match level {
            19 => (r#""int""#.to_owned(), "R19".to_owned()),
            _ => (format!(r#""R{}""#, level + 1), format!("R{level}")),
        };
        format!(
            r#"{{"type": "record", "name": "{name}", "fields": [
                {{"name": "a", "type": {inner}, "default": {default}}},
                {{"name": "b", "type": {again}, "default": {default}}}
            ]}}"#
        )
    });
    for (schema, name) in [(endless, "N"), (many.as_str(), "R0")] {
        // Either the schema is refused, or the value that would have no end.
        let Ok(codec) = AvroValueCodec::new(schema) else {
            continue;
        };
        let refused = codec.value_of_json(&json!({})).unwrap_err().to_string();
        assert!(
            refused.contains("deep") || refused.contains("by default"),
            "{refused}"
        );
        let empty = AvroValue::from(AvroRecord::new(name));
        codec.write(&empty, &mut Vec::new()).unwrap_err();
    }
}
