//! Avro topics without a Rust type, in an app: the schema is a file's or the registry's.

#![allow(clippy::unwrap_used, reason = "tests")]

use citizenk::avro::{AvroRecord, AvroValue, AvroValueCodec};
use citizenk::prelude::*;
use citizenk::registry::{EmbeddedRegistry, NewSchema};
use citizenk::schema::Frame;
use citizenk::testing::{TestApp, block_on};
use serde_json::{Value, json};

// [topics]
/// Another team's: what its schema is, the registry knows.
const TRIPS: Topic<AvroValue, u32> = Topic::avro_registry("trips");
/// Ours, with the schema in a file.
const RIDES: Topic<AvroValue, u32> = Topic::avro_file(
    "rides",
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemas_files/ride.avsc"),
);

#[citizenk::agent(topics = [TRIPS], output = RIDES)]
async fn ride(trip: Event<AvroValue>) -> citizenk::Result<AvroValue> {
    let zone = trip.value.get("from").and_then(AvroValue::as_i64);
    let at = trip.value.get("at").and_then(AvroValue::as_timestamp);
    let ride = AvroRecord::new("city.Ride")
        .with("zone", zone.unwrap_or_default())
        .with("at", at.unwrap_or_default());
    Ok(ride.into())
}
// [/topics]

const ERRORS: Topic<AvroValue, u32> = Topic::avro_registry("errors");

#[citizenk::agent(topics = [RIDES], output = ERRORS)]
async fn complain(ride: Event<AvroValue>) -> AvroValue {
    AvroRecord::new("E")
        .with("zone", ride.value.get("zone").cloned())
        .into()
}

const TRIP: &str = r#"{"type": "record", "name": "Trip", "fields": [{"name": "from", "type": "int"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}"#;
const ERROR: &str =
    r#"{"type": "record", "name": "E", "fields": [{"name": "zone", "type": "long"}]}"#;

fn app(embedded: &EmbeddedRegistry) -> impl Fn() -> App + Send + Sync + 'static {
    let registry = embedded.registry();
    move || {
        App::new("rides")
            .register::<ride>()
            .register::<complain>()
            .topic(&RIDES)
            .registry("default", registry.clone())
    }
}

#[test]
fn what_only_the_registry_knows_is_read_and_written() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        let trip = registry
            .register("trips-value", &NewSchema::avro(TRIP))
            .await
            .unwrap();
        registry
            .register("errors-value", &NewSchema::avro(ERROR))
            .await
            .unwrap();
        let app = TestApp::new(app(&embedded)).start().await.unwrap();
        assert!(
            registry.latest("rides-value").await.unwrap().is_some(),
            "the file's schema is registered"
        );
        let mut bytes = Vec::new();
        Frame::begin(trip, &mut bytes);
        let codec = AvroValueCodec::new(TRIP).unwrap();
        let at: DateTime<Utc> = "2026-02-03T04:05:06.789Z".parse().unwrap();
        let value = AvroRecord::new("Trip").with("from", 7).with("at", at);
        codec.write(&value.into(), &mut bytes).unwrap();
        app.topic(&TRIPS).push_raw(Some(b"1"), &bytes);
        app.settle().await;
        let rides = app.topic(&RIDES).sent();
        let ride = rides[0].value.as_ref().unwrap();
        assert_eq!(
            serde_json::to_value(ride).unwrap(),
            json!({ "zone": 7, "at": "2026-02-03T04:05:06.789Z", "note": null })
        );
        let errors = app.topic(&ERRORS).sent();
        assert_eq!(
            errors[0].value.as_ref().unwrap().get("zone"),
            Some(&AvroValue::Long(7))
        );

        // Over HTTP values are JSON of the file's schema.
        let posted = app
            .post(
                "/topics/rides?key=1",
                &json!({ "zone": 8, "at": "2026-02-03T04:05:06Z" }),
            )
            .await;
        assert_eq!(posted.status, 200, "{}", posted.body);
        app.settle().await;
        assert_eq!(app.topic(&ERRORS).sent().len(), 2);
        let refused = app
            .post("/topics/rides?key=1", &json!({ "zone": "x", "at": 0 }))
            .await;
        assert_eq!(refused.status / 100, 4, "{}", refused.body);
        let problem: Value = refused.json();
        assert!(problem.to_string().contains("zone"), "{problem}");
        app.stop().await.unwrap();
    });
}

#[test]
fn a_schema_that_nobody_has_ends_the_start_with_its_topic() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let error = TestApp::new(app(&embedded))
            .start()
            .await
            .unwrap_err()
            .to_string();
        for part in [
            "topic `errors`",
            "`errors-value` has no version to write with",
        ] {
            assert!(error.contains(part), "{error}");
        }
        const GONE: Topic<AvroValue> = Topic::avro_file("gone", "no/such/file.avsc");
        let error = TestApp::new(|| App::new("gone").topic(&GONE))
            .start()
            .await
            .unwrap_err()
            .to_string();
        for part in ["topic `gone`", "file no/such/file.avsc"] {
            assert!(error.contains(part), "{error}");
        }
        const BROKEN: Topic<AvroValue> =
            Topic::avro_schema("broken", r#"{"type": "record", "name": "R"}"#);
        let error = TestApp::new(|| App::new("broken").topic(&BROKEN))
            .start()
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("topic `broken`") && error.contains("no `fields`"),
            "{error}"
        );
    });
}
