//! Rides between confluent-kafka-python and a service of ours, through a real Kafka and a real schema registry: both
//! formats, keys and values, after a schema has changed. Run by `cargo xtask python-schemas`; left out where that has
//! not started them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use citizenk::avro::Decimal;
use citizenk::prelude::*;
use citizenk::registry::{NewSchema, Registry};
use citizenk::{Flags, RunError, Settings};
use serde_json::{Value, json};

mod kcat;
mod reading;

const PATIENCE: Duration = Duration::from_secs(90);

#[citizenk::message(avro(namespace = "city"))]
#[derive(Clone, Debug, PartialEq)]
struct Ride {
    id: i64,
    #[serde(alias = "zone")]
    area: String,
    at: DateTime<Utc>,
    tags: Vec<String>,
    #[avro(with = Decimal<10, 2>)]
    price: rust_decimal::Decimal,
    kind: Kind,
    note: Option<String>,
}

#[citizenk::message(avro(namespace = "city"))]
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Street,
    Airport,
}

#[citizenk::message(avro(namespace = "city"))]
#[derive(Clone, Debug, PartialEq)]
struct RideKey {
    city: String,
    id: i32,
}

impl std::fmt::Display for RideKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.city, self.id)
    }
}

impl std::str::FromStr for RideKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (city, id) = text.split_once('/').ok_or("no `/`")?;
        let id = id.parse().map_err(|_| "no number")?;
        Ok(Self {
            city: city.to_owned(),
            id,
        })
    }
}

const AVRO_IN: Topic<Ride, RideKey> = Topic::<Ride, RideKey>::avro("avro-in").key_avro();
const AVRO_OUT: Topic<Ride, RideKey> = Topic::<Ride, RideKey>::avro("avro-out").key_avro();
const JSON_IN: Topic<Ride, RideKey> =
    Topic::<Ride, RideKey>::json_schema("json-in").key_json_schema();
const JSON_OUT: Topic<Ride, RideKey> =
    Topic::<Ride, RideKey>::json_schema("json-out").key_json_schema();

#[citizenk::agent(topics = [AVRO_IN], sends = [AVRO_OUT])]
async fn avro(ride: Event<Ride>, Key(key): Key<RideKey>, out: Outbox) -> citizenk::Result<()> {
    out.send(&AVRO_OUT, &key, ride.value.clone())?;
    Ok(())
}

#[citizenk::agent(topics = [JSON_IN], sends = [JSON_OUT])]
async fn as_json(ride: Event<Ride>, Key(key): Key<RideKey>, out: Outbox) -> citizenk::Result<()> {
    out.send(&JSON_OUT, &key, ride.value.clone())?;
    Ok(())
}

struct Place {
    servers: String,
    url: String,
    prefix: String,
}

fn place() -> Option<Place> {
    let url = std::env::var("CITIZENK_REAL_REGISTRY").ok()?;
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").ok()?;
    std::env::var("CITIZENK_REAL_KAFKA").ok()?;
    let run = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let prefix = format!("s{}-", run.as_nanos());
    Some(Place {
        servers,
        url,
        prefix,
    })
}

impl Place {
    fn settings(&self, group: &str) -> Settings {
        let flags = Flags {
            bootstrap_servers: Some(self.servers.clone()),
            schema_registry_url: Some(self.url.clone()),
            topic_prefix: Some(self.prefix.clone()),
            group: Some(format!("{}{group}", self.prefix)),
            http: Some("127.0.0.1:0".to_owned()),
            create_topics: true,
            ..Flags::default()
        };
        Settings::resolve(flags, &Default::default(), None).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_python_writes_we_read_and_what_we_write_python_reads() {
    let (Some(place), Some(python)) = (place(), std::env::var_os("CITIZENK_PYTHON")) else {
        return;
    };
    let app = App::new("rides").register::<avro>().register::<as_json>();
    let service = app.build_with(place.settings("ours")).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(service.run_until(async {
        let _ = stopped.await;
    }));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_schemas/peer.py");
    let arguments = [script.to_owned(), place.servers, place.url, place.prefix];
    let peer = tokio::task::spawn_blocking(move || {
        let mut peer = Command::new(python);
        peer.args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        peer.output().expect("Python starts")
    });
    // The script has a deadline of its own.
    let peer = tokio::time::timeout(PATIENCE, peer)
        .await
        .expect("in time")
        .unwrap();
    if running.is_finished() {
        panic!("the service ended: {:?}", running.await.unwrap());
    }
    assert!(peer.status.success(), "{}", peer.status);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();

    let lines: BTreeSet<String> = String::from_utf8(peer.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let seen: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ride = |id: i64, at: &str, note: Value| {
        json!({
            "id": id, "area": "Zócalo", "at": at, "tags": ["a", "b"], "price": "12.30", "kind": "Airport", "note": note,
        })
    };
    let mut expected = Vec::new();
    for (id, note) in [(0, Value::Null), (1, json!("late"))] {
        let key = json!({"city": "CDMX", "id": id});
        expected.push(json!({
            "topic": "avro-out", "key": key, "older": {"id": id, "area": "Zócalo"},
            "value": ride(id, "2025-01-31 06:00:00.123000+00:00", note.clone()),
        }));
        expected.push(json!({
            "topic": "json-out", "key": key, "value": ride(id, "2025-01-31T06:00:00.123Z", note),
        }));
    }
    for record in &expected {
        assert!(seen.contains(record), "{record:#} is not in {seen:#?}");
    }
    assert_eq!(seen.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incompatible_change_ends_the_start_with_its_field() {
    let Some(place) = place() else {
        return;
    };
    let registry = Registry::builder(&place.url).build().unwrap();
    let old = r#"{"type": "record", "name": "Ride", "namespace": "city", "fields": [{"name": "id", "type": "string"}]}"#;
    let subject = format!("{}avro-out-value", place.prefix);
    registry
        .register(&subject, &NewSchema::avro(old))
        .await
        .unwrap();
    registry
        .set_compatibility_rule(Some(&subject), "BACKWARD")
        .await
        .unwrap();
    let app = App::new("rides").register::<avro>();
    let service = app.build_with(place.settings("ours")).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, service.run_until(std::future::pending()));
    let error = ended.await.expect("in time").unwrap_err();
    assert!(matches!(error, RunError::Build(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("topic `avro-out`") && text.contains("field `id`: `string` became `long`"),
        "{text}"
    );
    let versions = registry.versions(&subject).await.unwrap();
    assert_eq!(versions, [1], "nothing was registered");
}
