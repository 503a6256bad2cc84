//! Rust types from a schema: the checked-in ones compile, are what is written now, and have the schema they are of.

#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(unreachable_pub, reason = "a file for any crate")]
#[rustfmt::skip]
mod ride;

use citizenk::avro::{AvroCodec, AvroValueCodec, rust_source};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("ride.avsc");
const SOURCE: &str = include_str!("ride.rs");

/// `CITIZENK_WRITE=1` writes the file anew.
#[test]
fn the_types_are_those_of_the_schema() {
    let source = rust_source(SCHEMA).unwrap();
    if std::env::var_os("CITIZENK_WRITE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/avro_codegen/ride.rs");
        std::fs::write(path, &source).unwrap();
        return;
    }
    assert_eq!(source, SOURCE);
}

#[test]
fn the_schema_of_the_types_is_the_one_they_were_made_of() {
    let own = AvroCodec::<ride::Ride>::new().unwrap();
    let own: Value = serde_json::from_str(own.schema().json()).unwrap();
    let given: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(own, given);
}

#[test]
fn a_value_goes_through_the_types() {
    let values = AvroValueCodec::new(SCHEMA).unwrap();
    let json = json!({
        "pickupZone": 7, "fare": 1.5, "stops": [{ "zone": 1, "next": { "zone": 2 } }],
        "at": "2026-02-03T04:05:06.789Z", "day": "2026-02-03", "opens": "04:05:06.789", "local": "2026-02-03T04:05:06",
        "id": "67e55044-10b1-426f-9247-bb680e5fe0c8", "price": "12.50", "raw": [1], "hash": [1, 2, 3, 4],
        "payment": { "number": "4" }, "exactly": "2026-02-03T04:05:06.789012Z",
    });
    let mut bytes = Vec::new();
    let value = values.value_of_json(&json).unwrap();
    values.write(&value, &mut bytes).unwrap();
    let codec = AvroCodec::<ride::Ride>::new().unwrap();
    let ride = codec.read(&bytes).unwrap();
    assert_eq!(ride.currency.as_deref(), Some("EUR"));
    assert_eq!((ride.passengers, ride.kind), (1, ride::RideKind::PreBooked));
    assert_eq!(ride.stops[0].next.as_ref().unwrap().zone, 2);
    let card = ride::Card {
        number: "4".to_owned(),
    };
    assert_eq!(ride.payment, Some(ride::RidePayment::Card(card)));
    let mut again = Vec::new();
    codec.write(&ride, &mut again).unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn what_has_no_rust_type_is_named() {
    let record = |field: &str| {
        format!(
            r#"{{"type": "record", "name": "R", "fields": [{{"name": "inner", "type": {field}}}]}}"#
        )
    };
    let cases = [
        (
            record(r#"["string", "int"]"#),
            "field `inner`: union of string, int has no Rust type",
        ),
        (
            record(r#"{"type": "fixed", "name": "MD5", "size": 16}"#),
            "field `inner`: fixed `MD5` has no Rust type",
        ),
        (
            record(
                r#"{"type": "array", "items": {"type": "long", "logicalType": "timestamp-micros"}}"#,
            ),
            "written with `Micros`",
        ),
        (r#""string""#.to_owned(), "only a schema with a name"),
        ("{".to_owned(), "not valid JSON"),
    ];
    for (schema, expected) in cases {
        let error = rust_source(&schema).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn names_become_those_of_rust() {
    let schema = r#"{"type": "record", "name": "http_URLEntry", "fields": [
        {"name": "HTTPStatus2", "type": "int"}, {"name": "self", "type": "int"}, {"name": "userID", "type": "int"},
        {"name": "user_id", "type": "int"}, {"name": "_x", "type": "int"}, {"name": "in", "type": "int"}]}"#;
    let source = rust_source(schema).unwrap();
    for part in [
        "avro(name = \"http_URLEntry\")",
        "pub struct HttpUrlEntry {",
        "#[serde(rename = \"HTTPStatus2\")]\n    pub http_status2: i32,",
        "#[serde(rename = \"self\")]\n    pub self_: i32,",
        "#[serde(rename = \"userID\")]\n    pub user_id: i32,",
        "#[serde(rename = \"user_id\")]\n    pub user_id_: i32,",
        "#[serde(rename = \"_x\")]\n    pub x: i32,",
        "    pub r#in: i32,",
    ] {
        assert!(source.contains(part), "{part}: {source}");
    }
}
