//! The AsyncAPI document.

use citizenk::http::Bridge;
use citizenk::prelude::*;
use citizenk::testing::{TestApp, block_on};
use serde_json::{Value, json};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    id: u32,
    lines: Vec<Line>,
}

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Line {
    sku: String,
}

const ORDERS: Topic<Order, u32> = Topic::json("orders").partitions(3);
const BILLS: Topic<Line> = Topic::json("bills");

/// Bills orders.
///
/// One bill per order.
#[citizenk::agent(topics = [ORDERS], output = BILLS)]
async fn bill(order: Event<Order>) -> Option<Line> {
    order.value.lines.into_iter().next()
}

/// Bills as they are made.
#[citizenk::agent(topics = [BILLS], websocket = "/live", events = "/live/events")]
async fn live(bill: Event<Line>) -> Line {
    bill.value
}

#[citizenk::websocket_in(topic = ORDERS, route = "/orders/{shop}")]
async fn orders(Json(order): Json<Order>) -> (u32, Order) {
    (order.id, order)
}

/// Bills nothing.
#[citizenk::repeat_every("1h", sends = [BILLS])]
async fn remind(out: Outbox) -> citizenk::Result<()> {
    Ok(out.send(&BILLS, &"k".to_owned(), Line { sku: "x".into() })?)
}

fn app() -> App {
    App::new("billing")
        .title("Billing")
        .register::<bill>()
        .register::<live>()
        .register::<orders>()
        .register::<remind>()
        .bridge(Bridge::new().topic(&BILLS))
}

async fn document(app: &TestApp) -> Value {
    let answer = app.get("/asyncapi.json").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Every reference in a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get("$ref") {
                found.push(to);
            }
            for field in fields.values() {
                references(field, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                references(item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn topics_agents_timers_and_live_endpoints_are_in_it() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let document = document(&app).await;
        assert_eq!(document["asyncapi"], "3.0.0");
        assert_eq!(document["info"]["title"], "Billing");
        let orders = &document["channels"]["orders"];
        assert_eq!(orders["address"], "orders");
        assert_eq!(orders["bindings"]["kafka"]["partitions"], 3);
        let payload = &document["components"]["messages"]["orders"]["payload"];
        assert_eq!(payload, &json!({ "$ref": "#/components/schemas/Order" }));

        let operations = &document["operations"];
        let receive = &operations["bill_receives_orders"];
        assert_eq!(
            (&receive["action"], &receive["summary"]),
            (&json!("receive"), &json!("Bills orders."))
        );
        assert_eq!(
            receive["bindings"]["kafka"]["groupId"]["enum"],
            json!(["billing"])
        );
        for (id, action, channel) in [
            ("bill_sends_bills", "send", "bills"),
            ("remind_sends_bills", "send", "bills"),
            ("live_receives_bills", "receive", "bills"),
            ("orders_sends_orders", "send", "orders"),
            ("live_sends_websocket", "send", "live_websocket"),
            ("live_sends_events", "send", "live_events"),
            ("orders_receives_websocket", "receive", "orders_websocket"),
            ("bridge_producer_sends_bills", "send", "bills"),
            (
                "bridge_consumer_sends_websocket",
                "send",
                "bridge_consumer_websocket",
            ),
        ] {
            let operation = &operations[id];
            assert_eq!(operation["action"], action, "{id} {operations}");
            assert_eq!(
                operation["channel"]["$ref"],
                format!("#/channels/{channel}")
            );
        }
        // It has no group, so it names none.
        assert_eq!(
            operations["live_receives_bills"]["bindings"]["kafka"]["groupId"],
            Value::Null
        );
        let incoming = &document["channels"]["orders_websocket"];
        assert_eq!(incoming["address"], "/orders/{shop}");
        assert_eq!(incoming["parameters"], json!({ "shop": {} }));
        let bridge = &document["channels"]["bridge_consumer_websocket"];
        assert_eq!(bridge["parameters"]["topic"]["enum"], json!(["bills"]));
        assert_eq!(document["servers"]["websocket"]["protocol"], "ws");
        app.stop().await
    })
    .unwrap();
}

#[test]
fn every_reference_leads_somewhere() {
    block_on(async {
        let app = TestApp::new(app).start().await?;
        let document = document(&app).await;
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for to in found {
            let pointer = to.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{to} leads nowhere");
        }
        app.stop().await
    })
    .unwrap();
}
