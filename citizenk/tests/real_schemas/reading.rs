//! Records whose schema a header names, and values without a Rust type: their schemas are in the real registry only.

use citizenk::avro::{AvroRecord, AvroValue, AvroValueCodec};
use citizenk::prelude::*;
use citizenk::registry::{NewSchema, Registry};
use citizenk::schema::Frame;
use tokio::sync::mpsc;

use crate::{PATIENCE, Place, place};

const TRIP: &str = r#"{"type": "record", "name": "Trip", "namespace": "city", "fields": [
    {"name": "id", "type": "int"}, {"name": "zone", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}"#;
const COPY: &str = r#"{"type": "record", "name": "Copy", "namespace": "city", "fields": [
    {"name": "id", "type": "long"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "by", "type": "string", "default": "nobody"}]}"#;

#[citizenk::message(avro(namespace = "city"))]
struct Trip {
    id: i64,
    #[serde(alias = "zone")]
    area: String,
}

#[citizenk::message(avro(namespace = "city"))]
struct Copy {
    id: i64,
    at: DateTime<Utc>,
    by: String,
}

/// What the service is told of its place, and where it says what it has seen.
#[derive(Clone)]
struct Desk {
    id: u32,
    seen: mpsc::Sender<String>,
}

const WRITTEN: Topic<RawBytes> = Topic::raw("trips");
const TRIPS: Topic<Trip> = Topic::avro("trips");
const COPIES: Topic<Copy> = Topic::avro("copies");
/// The same without a Rust type.
const ANY_TRIPS: Topic<AvroValue> = Topic::avro_registry("trips");
const ANY_COPIES: Topic<AvroValue> = Topic::avro_registry("copies");

/// A header names the schema of the first record, what stands before the value that of the second.
#[citizenk::on_event(startup, sends = [WRITTEN])]
async fn write(State(desk): State<Desk>, producer: Producer) -> citizenk::Result<()> {
    let codec = AvroValueCodec::new(TRIP).map_err(std::io::Error::other)?;
    let at: DateTime<Utc> = "2026-02-03T04:05:06.789Z".parse()?;
    for (id, named) in [(1, true), (2, false)] {
        let trip = AvroRecord::new("city.Trip").with("id", id);
        let trip = trip.with("zone", "Zócalo").with("at", at);
        let mut bytes = Vec::new();
        if !named {
            Frame::begin(desk.id, &mut bytes);
        }
        codec.write(&trip.into(), &mut bytes)?;
        let header = [&[0], &desk.id.to_be_bytes()[..]].concat();
        let key = "k".to_owned();
        let mut record = producer.record(&WRITTEN).key(&key);
        if named {
            record = record.header("__value_schema_id", &header);
        }
        record.send(bytes.into()).await?;
    }
    Ok(())
}

#[citizenk::agent(topics = [TRIPS])]
async fn typed(trip: Event<Trip>, State(desk): State<Desk>) {
    let _ = desk
        .seen
        .send(format!("typed {} {}", trip.value.id, trip.value.area))
        .await;
}

#[citizenk::agent(topics = [COPIES])]
async fn copied(copy: Event<Copy>, State(desk): State<Desk>) {
    let Copy { id, at, by } = &copy.value;
    let _ = desk.seen.send(format!("copy {id} {at:?} {by}")).await;
}

#[citizenk::agent(topics = [ANY_TRIPS], output = ANY_COPIES)]
async fn untyped(trip: Event<AvroValue>) -> AvroValue {
    AvroRecord::new("city.Copy")
        .with("id", trip.value.get("id").cloned())
        .with("at", trip.value.get("at").cloned())
        .into()
}

async fn registered(place: &Place) -> u32 {
    let registry = Registry::builder(&place.url).build().unwrap();
    let copies = format!("{}copies-value", place.prefix);
    registry
        .register(&copies, &NewSchema::avro(COPY))
        .await
        .unwrap();
    let trips = format!("{}trips-value", place.prefix);
    registry
        .register(&trips, &NewSchema::avro(TRIP))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_headers_name_and_what_has_no_type_is_read_by_the_registry() {
    let Some(place) = place() else {
        return;
    };
    let id = registered(&place).await;
    let (seen, mut lines) = mpsc::channel(8);
    let desk = Desk { id, seen };
    // An app has one form of a topic: bytes, a type, or none.
    let writer = App::new("writer").state(desk.clone()).register::<write>();
    let typed = App::new("typed")
        .state(desk)
        .register::<typed>()
        .register::<copied>();
    let untyped = App::new("untyped").register::<untyped>();
    let mut services = Vec::new();
    for (app, group) in [(writer, "writer"), (typed, "typed"), (untyped, "untyped")] {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let service = app.build_with(place.settings(group)).await.unwrap();
        let running = tokio::spawn(service.run_until(async {
            let _ = stopped.await;
        }));
        services.push((stop, running));
    }
    let mut all = Vec::new();
    while all.len() < 4 {
        let line = tokio::time::timeout(PATIENCE, lines.recv()).await;
        all.push(
            line.expect("all is read in time")
                .expect("the service runs"),
        );
    }
    all.sort();
    assert_eq!(
        all,
        [
            "copy 1 2026-02-03T04:05:06.789Z nobody",
            "copy 2 2026-02-03T04:05:06.789Z nobody",
            "typed 1 Zócalo",
            "typed 2 Zócalo",
        ]
    );
    for (stop, running) in services {
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    }
}
