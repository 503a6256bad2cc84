//! Topics whose schemas stand in a registry, in an app: ids, unknown ones, a registry that is away.

#![allow(clippy::unwrap_used, reason = "tests")]

use citizenk::codec::KeyCodec;
use citizenk::prelude::*;
use citizenk::registry::{EmbeddedRegistry, NewSchema};
use citizenk::schema::Frame;
use citizenk::testing::{TestApp, block_on};

#[citizenk::message(avro(namespace = "shop"))]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
    #[serde(default)]
    note: String,
}

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Receipt {
    id: u32,
}

const ORDERS: Topic<Order, u32> = Topic::avro("orders");
const RECEIPTS: Topic<Receipt, u32> = Topic::json_schema("receipts");
const LETTERS: Topic<RawBytes, u32> = Topic::raw("letters");

#[citizenk::agent(topics = [ORDERS], output = RECEIPTS, on_decode_error = dead_letter(LETTERS))]
async fn receive(order: Event<Order>) -> Receipt {
    Receipt { id: order.value.id }
}

#[citizenk::agent(topics = [ORDERS], group = "notes", on_decode_error = skip)]
async fn read(order: Event<Order>) {
    drop(order);
}

/// As an older program wrote it: without the note.
const OLD: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [{"name": "id", "type": "int"}]}"#;

fn framed(id: u32, order: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame::begin(id, &mut bytes);
    // An `int` of one byte.
    bytes.push(2 * order);
    bytes
}

async fn started(embedded: &EmbeddedRegistry) -> TestApp {
    let registry = embedded.registry();
    let app = move || {
        App::new("shop")
            .register::<receive>()
            .register::<read>()
            .registry("default", registry.clone())
    };
    let app = TestApp::new(app).partitions(&ORDERS, 1).start();
    app.await.unwrap()
}

fn received(app: &TestApp) -> Vec<u32> {
    let sent = app.topic(&RECEIPTS).sent();
    sent.into_iter()
        .map(|record| record.value.unwrap().id)
        .collect()
}

#[test]
fn a_schema_is_asked_for_once_and_records_ask_for_nothing() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let app = started(&embedded).await;
        let registry = embedded.registry();
        let old = registry
            .register("orders-value", &NewSchema::avro(OLD))
            .await
            .unwrap();
        for order in 0..50 {
            let note = "new".to_owned();
            app.topic(&ORDERS).push(&1, Order { id: order, note });
            app.topic(&ORDERS).push_raw(Some(b"1"), &framed(old, 60));
        }
        let before = embedded.requests();
        app.settle().await;
        assert_eq!(received(&app).len(), 100);
        assert_eq!(
            embedded.requests() - before,
            1,
            "the own one is known; the other is asked for once, for both agents"
        );
        for _ in 0..50 {
            app.topic(&ORDERS).push_raw(Some(b"1"), &framed(old, 3));
        }
        app.settle().await;
        assert_eq!(received(&app).len(), 150);
        assert_eq!(embedded.requests() - before, 1, "none for more records");
        app.stop().await.unwrap();
    });
}

#[test]
fn while_the_registry_is_away_records_wait_and_others_with_known_schemas_pass() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let app = started(&embedded).await;
        let registry = embedded.registry();
        let old = registry
            .register("orders-value", &NewSchema::avro(OLD))
            .await
            .unwrap();
        let note = String::new();
        app.topic(&ORDERS).push(
            &1,
            Order {
                id: 1,
                note: note.clone(),
            },
        );
        app.settle().await;
        embedded.fail(503);
        // Its schema is known: nobody is asked.
        app.topic(&ORDERS).push(&1, Order { id: 2, note });
        app.settle().await;
        assert_eq!(received(&app), [1, 2]);
        app.topic(&ORDERS).push_raw(Some(b"1"), &framed(old, 3));
        app.advance("60s").await;
        assert_eq!(received(&app), [1, 2], "it waits");
        assert_eq!(
            app.committed(&ORDERS).values().sum::<i64>(),
            2,
            "nothing is passed over"
        );
        let asked = embedded.requests();
        app.advance("60s").await;
        let more = embedded.requests() - asked;
        assert!((5..60).contains(&more), "{more} requests in a minute");
        embedded.heal();
        app.advance("15s").await;
        assert_eq!(received(&app), [1, 2, 3]);
        app.stop().await.unwrap();
    });
}

#[test]
fn an_id_nobody_knows_meets_the_policy_after_some_tries() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let app = started(&embedded).await;
        app.topic(&ORDERS).push_raw(Some(b"1"), &framed(999, 3));
        app.topic(&ORDERS).push_raw(Some(b"1"), b"\0\0");
        app.topic(&ORDERS).push_raw(Some(b"1"), b"{\"id\": 1}");
        app.advance("10s").await;
        let letters = app.topic(&LETTERS).sent();
        let reasons: Vec<_> = letters
            .iter()
            .map(|letter| {
                letter
                    .headers
                    .text("citizenk.dead-letter.reason")
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert!(
            reasons[0].contains("schema id 999 is not known"),
            "{reasons:?}"
        );
        assert!(reasons[1].contains("too few"), "{reasons:?}");
        assert!(reasons[2].contains("plain JSON"), "{reasons:?}");
        assert_eq!(
            embedded.requests_of("/schemas/ids/999"),
            5,
            "tried again, then remembered"
        );
        app.stop().await.unwrap();
    });
}

/// Confluent's `HeaderSchemaIdSerializer`: a byte 1 and the GUID; or a byte 0 and the id.
#[test]
fn a_schema_that_a_header_names_is_found_and_asked_for_once() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let app = started(&embedded).await;
        let registry = embedded.registry();
        let old = registry
            .register("orders-value", &NewSchema::avro(OLD))
            .await
            .unwrap();
        let header = |value: &[u8]| {
            let mut headers = Headers::new();
            headers.push("__value_schema_id", Some(value));
            headers
        };
        let guid = |id| header(&[&[1], &EmbeddedRegistry::guid_of(id)[..]].concat());
        let before = embedded.requests();
        for order in 0..20 {
            // Nothing but the value, which may begin with a zero.
            let value = [2 * order];
            app.topic(&ORDERS).push_to(0, Some(b"1"), &value, guid(old));
        }
        app.settle().await;
        assert!(app.topic(&LETTERS).sent().is_empty());
        assert_eq!(received(&app), (0..20).collect::<Vec<_>>());
        assert_eq!(embedded.requests() - before, 1);
        let number = header(&[&[0], &old.to_be_bytes()[..]].concat());
        app.topic(&ORDERS).push_to(0, Some(b"1"), &[2 * 21], number);
        app.topic(&ORDERS)
            .push_to(0, Some(b"1"), &[2 * 22], guid(old));
        app.topic(&ORDERS).push_raw(Some(b"1"), &framed(old, 23));
        app.settle().await;
        assert_eq!(received(&app)[20..], [21, 22, 23]);
        // What nobody has, and what is no id.
        app.topic(&ORDERS).push_to(0, Some(b"1"), &[2], guid(999));
        app.topic(&ORDERS)
            .push_to(0, Some(b"1"), &[2], header(b"x"));
        app.advance("10s").await;
        let letters = app.topic(&LETTERS).sent();
        let reason = |index: usize| letters[index].headers.text("citizenk.dead-letter.reason");
        assert!(
            reason(0).unwrap().contains("schema GUID 63697469"),
            "{:?}",
            reason(0)
        );
        assert!(
            reason(1).unwrap().contains("`__value_schema_id` is none"),
            "{:?}",
            reason(1)
        );
        assert_eq!(received(&app).len(), 23);
        app.stop().await.unwrap();
    });
}

/// A key that has no text form.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Shelf {
    shop: u32,
    row: String,
}

const STOCK: Topic<Receipt, Shelf> = Topic::json_schema("stock").keyed(KeyCodec::json_schema());
const MOVED: Topic<Receipt, Shelf> = Topic::json_schema("moved").keyed(KeyCodec::json_schema());

#[citizenk::agent(topics = [STOCK], sends = [MOVED], on_error = dead_letter(LETTERS))]
async fn restock(
    receipt: Event<Receipt>,
    Key(shelf): Key<Shelf>,
    out: Outbox,
) -> citizenk::Result<()> {
    out.send(&MOVED, &shelf, receipt.value.clone())?;
    Ok(())
}

#[test]
fn a_key_without_a_text_form_names_its_json_schema() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        let app = move || {
            let registry = embedded.registry();
            App::new("shop")
                .register::<restock>()
                .topic(&STOCK)
                .registry("default", registry)
        };
        let app = TestApp::new(app).start().await.unwrap();
        let shelf = Shelf {
            shop: 1,
            row: "b/2".to_owned(),
        };
        app.topic(&STOCK).push(&shelf, Receipt { id: 7 });
        // In a URL a key is its JSON.
        let posted = app
            .post(
                "/topics/stock?key=%7B%22shop%22:1,%22row%22:%22b/2%22%7D",
                &Receipt { id: 8 },
            )
            .await;
        assert_eq!(posted.status, 200, "{}", posted.body);
        app.settle().await;
        let moved = app.topic(&MOVED).sent();
        let ids: Vec<u32> = moved
            .iter()
            .map(|moved| moved.value.as_ref().unwrap().id)
            .collect();
        assert_eq!(ids, [7, 8]);
        assert!(moved.iter().all(|moved| moved.key.as_ref() == Some(&shelf)));

        let schema = registry.latest("moved-key").await.unwrap().unwrap();
        let text: serde_json::Value = serde_json::from_str(&schema.text).unwrap();
        assert_eq!(text["title"], "Shelf");
        let (key, _) = app.topic(&MOVED).sent_raw().remove(0);
        let key = key.unwrap();
        let frame = Frame::parse(&key).unwrap();
        assert_eq!(frame.id, schema.id);
        assert_eq!(frame.body, br#"{"shop":1,"row":"b/2"}"#);

        // What is no such key is an error of its own, with its field.
        let mut bad = Vec::new();
        Frame::begin(frame.id, &mut bad);
        bad.extend_from_slice(br#"{"shop":"x","row":"b"}"#);
        app.topic(&STOCK).push_raw(Some(&bad), &{
            let mut value = Vec::new();
            Frame::begin(1, &mut value);
            value.extend_from_slice(br#"{"id":9}"#);
            value
        });
        app.settle().await;
        let letters = app.dead_letters();
        assert_eq!(letters.len(), 1);
        assert!(letters[0].reason.contains("shop"), "{}", letters[0].reason);
        assert_eq!(app.topic(&MOVED).sent().len(), 2);
        app.stop().await.unwrap();
    });
}
