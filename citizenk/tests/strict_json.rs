//! Topics of JSON whose values a JSON Schema has to allow, in an app.

#![allow(clippy::unwrap_used, reason = "tests")]

use citizenk::prelude::*;
use citizenk::schema::Frame;
use citizenk::testing::{TestApp, TopicCodec, block_on};
use serde_json::{Value, json};

// [models]
/// An open model: what it does not name is kept.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Order {
    #[schemars(range(min = 1))]
    id: i64,
    #[schemars(length(min = 1))]
    items: Vec<Item>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
struct Item {
    #[schemars(regex(pattern = "^[A-Z]{2}-[0-9]+$"))]
    article: String,
    #[schemars(range(max = 100))]
    count: u32,
}

// [/models]

/// Another team's; only its schema is ours.
const CHANGE: &str = r##"{
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Change",
    "type": "object",
    "required": ["by", "at"],
    "properties": {
        "by": {"type": "string", "maxLength": 8},
        "at": {"type": "string", "format": "date-time"},
        "was": {"$ref": "#/definitions/state"}
    },
    "definitions": {"state": {"enum": ["open", "shut"]}}
}"##;

#[citizenk::message]
#[derive(Debug)]
struct Id {
    id: u32,
}

// [topics]
const ORDERS: Topic<Order, u32> = Topic::json("orders").strict();
const CHANGES: Topic<Value, u32> = Topic::json_schema("changes").strict_with(CHANGE);
// [/topics]
const PASSED: Topic<Value, u32> = Topic::json("passed");
const LETTERS: Topic<RawBytes, u32> = Topic::raw("letters");

#[citizenk::agent(topics = [ORDERS], output = PASSED, on_decode_error = dead_letter(LETTERS))]
async fn take(order: Event<Order>) -> Value {
    json!(order.value.rest)
}

#[citizenk::agent(topics = [CHANGES], output = PASSED, on_decode_error = dead_letter(LETTERS))]
async fn follow(change: Event<Value>) -> Value {
    change.value
}

fn app() -> App {
    App::new("shop").register::<take>().register::<follow>()
}

fn order(id: i64, article: &str, count: u32) -> String {
    json!({"id": id, "items": [{"article": "AB-1", "count": 1}, {"article": article, "count": count}], "colour": "red"}).to_string()
}

fn passed(app: &TestApp) -> Vec<Value> {
    let sent = app.topic(&PASSED).sent();
    sent.into_iter().map(|sent| sent.value.unwrap()).collect()
}

#[test]
fn what_the_schema_does_not_allow_meets_the_policy_with_its_field() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        for text in [
            order(1, "CD-2", 100),
            order(0, "CD-2", 1),
            order(1, "cd-2", 1),
            order(1, "CD-2", 101),
            r#"{"id": 1, "items": []}"#.to_owned(),
            r#"{"id": 1}"#.to_owned(),
        ] {
            app.topic(&ORDERS).push_raw(Some(b"1"), text.as_bytes());
        }
        app.settle().await;
        assert_eq!(passed(&app), [json!({"colour": "red"})]);
        let letters = app.dead_letters();
        let reasons: Vec<&str> = letters
            .iter()
            .map(|letter| letter.reason.as_str())
            .collect();
        for (reason, (field, what)) in reasons.iter().zip([
            ("`id`", "`0` is less than the minimum of 1"),
            ("`items[1].article`", "`\"cd-2\"` does not match"),
            (
                "`items[1].count`",
                "`101` is greater than the maximum of 100",
            ),
            ("`items`", "`[]` has less than 1 item"),
            // The type's own business.
            ("`items`", "missing field"),
        ]) {
            assert!(reason.contains(field) && reason.contains(what), "{reason}");
        }
        assert_eq!(letters.len(), 5, "{reasons:?}");
        app.stop().await.unwrap();
    });
}

#[test]
fn a_value_without_a_type_is_checked_behind_its_frame_and_in_front_of_a_handler() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let good = json!({"by": "me", "at": "2026-01-31T06:00:00Z", "was": "open", "more": [1]});
        app.topic(&CHANGES).push(&1, good.clone());
        for bad in [
            json!({"by": "me", "at": "yesterday"}),
            json!({"by": "me"}),
            json!({"by": "me", "at": "2026-01-31T06:00:00Z", "was": "ajar"}),
            json!({"by": "somebody else", "at": "x", "was": 7}),
        ] {
            let mut bytes = Vec::new();
            Frame::begin(1, &mut bytes);
            serde_json::to_writer(&mut bytes, &bad).unwrap();
            app.topic(&CHANGES).push_raw(Some(b"1"), &bytes);
        }
        app.settle().await;
        assert_eq!(passed(&app), [good]);
        let letters = app.dead_letters();
        let reasons: Vec<&str> = letters
            .iter()
            .map(|letter| letter.reason.as_str())
            .collect();
        for (reason, what) in reasons.iter().zip([
            "field `at`: its schema does not allow it: `\"yesterday\"` is not a \"date-time\"",
            "field `at`: its schema does not allow it: \"at\" is a required property",
            "field `was`: its schema does not allow it: `\"ajar\"` is not one of",
            "its schema does not allow it",
        ]) {
            assert!(reason.contains(what), "{reason}");
        }
        assert_eq!(letters.len(), 4, "{reasons:?}");
        app.stop().await.unwrap();
    });
}

#[test]
fn what_may_not_be_read_is_not_written() {
    for (codec, framed) in [
        (TopicCodec::new(&CHANGES), 5),
        (
            TopicCodec::new(&Topic::<Value, u32>::json("plain").strict_with(CHANGE)),
            0,
        ),
    ] {
        let mut bytes = b"before".to_vec();
        let error = codec.encode(&json!({"by": 7}), &mut bytes).unwrap_err();
        assert!(error.to_string().contains("field `"), "{error}");
        assert_eq!(bytes, b"before", "nothing of it is left");
        let good = json!({"by": "me", "at": "2026-01-31T06:00:00Z"});
        codec.encode(&good, &mut bytes).unwrap();
        let json: Value = serde_json::from_slice(&bytes[6 + framed..]).unwrap();
        assert_eq!(json, good);
        assert_eq!(codec.decode(&bytes[6..]).unwrap(), good);
    }
}

#[test]
fn over_http_it_is_refused_with_the_field() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        for (topic, body, field) in [
            (
                "orders",
                json!({"id": 0, "items": [{"article": "A", "count": 1}]}),
                "id",
            ),
            ("changes", json!({"by": "me", "at": "x"}), "at"),
        ] {
            let answer = app.post(&format!("/topics/{topic}?key=1"), &body).await;
            assert_eq!(answer.status, 422, "{}", answer.body);
            assert_eq!(answer.json::<Value>()["field"], field, "{}", answer.body);
        }
        app.stop().await.unwrap();
    });
}

#[test]
fn documents_have_the_schema_that_counts() {
    block_on(async {
        let app = TestApp::new(app).start().await.unwrap();
        let document: Value = app.get("/openapi.json").await.json();
        let body = &document["paths"]["/topics/changes"]["post"]["requestBody"];
        let body = &body["content"]["application/json"]["schema"];
        assert_eq!(*body, json!({"$ref": "#/components/schemas/changes.value"}));
        let schemas = &document["components"]["schemas"];
        let state = json!({"$ref": "#/components/schemas/changes.value/definitions/state"});
        assert_eq!(schemas["changes.value"]["properties"]["was"], state);
        let open = json!({"enum": ["open", "shut"]});
        assert_eq!(schemas["changes.value"]["definitions"]["state"], open);
        assert_eq!(schemas["Order"]["properties"]["id"]["minimum"], 1);

        let document: Value = app.get("/asyncapi.json").await.json();
        let payload = &document["components"]["messages"]["changes"]["payload"];
        assert_eq!(
            *payload,
            json!({"$ref": "#/components/schemas/changes.value"})
        );
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["changes.value"]["properties"]["was"], state);

        let topics: Value = app.get("/topics").await.json();
        assert!(
            topics.to_string().contains("\"title\":\"Change\""),
            "{topics}"
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn a_schema_that_cannot_be_used_is_said_when_the_app_starts() {
    const ELSEWHERE: Topic<Value> =
        Topic::json("elsewhere").strict_with(r#"{"$ref": "https://example.com/a.json"}"#);
    const SLOW: Topic<Value> =
        Topic::json("slow").strict_with(r#"{"properties": {"a": {"pattern": "^(?!b)"}}}"#);
    const WRONG: Topic<Value> = Topic::json("wrong").strict_with(r#"{"type": "strnig"}"#);
    const NONE: Topic<Value> = Topic::json("none").strict_with("{");
    const MANY: Topic<Value> = Topic::json("^many-.*").strict_with(r#"{"minimum": "1"}"#);
    block_on(async {
        let app =
            || {
                let many = citizenk::Agent::builder::<Event<Value>>("many").topic(&MANY);
                App::new("broken")
                    .component(many.handle(
                        async |_: Event<Value>, _: Outbox| -> citizenk::Result<()> { Ok(()) },
                    ))
                    .topic(&ELSEWHERE)
                    .topic(&SLOW)
                    .topic(&WRONG)
                    .topic(&NONE)
            };
        let error = TestApp::new(app).start().await.err().unwrap().to_string();
        for part in [
            "topic `elsewhere`: its JSON Schema cannot be used",
            "topic `slow`: its JSON Schema cannot be used: at `/properties/a/pattern`",
            "topic `wrong`: its JSON Schema cannot be used",
            "strnig",
            "topic `none`: its JSON Schema is not JSON",
            "topic `^many-.*`: its JSON Schema cannot be used",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    });
}

#[test]
fn one_topic_is_checked_in_one_way() {
    const LOOSE: Topic<Order, u32> = Topic::json("orders");
    block_on(async {
        let app = || App::new("two").topic(&LOOSE).topic(&ORDERS);
        let error = TestApp::new(app).start().await.err().unwrap().to_string();
        assert!(error.contains("with validation `strict`"), "{error}");
    });
}

#[test]
fn two_schemas_of_one_topic_are_told_apart() {
    const ORDER: &str = r#"{"required": ["id"]}"#;
    const A: Topic<Value> = Topic::json("bodies").strict_with(ORDER);
    const B: Topic<Value> = Topic::json("bodies").strict_with(CHANGE);
    block_on(async {
        let app = || App::new("two").topic(&A).topic(&B);
        let error = TestApp::new(app).start().await.err().unwrap().to_string();
        let wanted = "uses topic `bodies` with another schema for its values than elsewhere";
        assert!(error.contains(wanted), "{error}");
        // The text counts, not where it stands.
        let app = || {
            let same: &'static str = Box::leak(ORDER.to_owned().into_boxed_str());
            let again: Topic<Value> = Topic::json("bodies").strict_with(same);
            App::new("one").topic(&A).topic(&again)
        };
        let app = TestApp::new(app).start().await.unwrap();
        app.stop().await.unwrap();
    });
}

#[test]
#[should_panic(expected = "only values of JSON")]
fn bytes_have_no_json_schema() {
    let _ = Topic::<RawBytes>::raw("frames").strict();
}

#[test]
fn a_long_value_makes_no_long_error() {
    let codec = TopicCodec::new(&CHANGES);
    // Where looking for the fault takes more memory than the value is worth, it is not looked for.
    for (length, what) in [(5_000, "`by`"), (100_000, "its schema does not allow it")] {
        let mut bytes = Vec::new();
        Frame::begin(1, &mut bytes);
        let long = json!({"by": "ä".repeat(length), "at": "2026-01-31T06:00:00Z"});
        serde_json::to_writer(&mut bytes, &long).unwrap();
        let text = codec.decode(&bytes).unwrap_err().to_string();
        assert!(text.len() < 500 && text.contains(what), "{text}");
    }
}

#[test]
fn a_long_name_makes_no_long_error() {
    const CLOSED: Topic<Value> =
        Topic::json("closed").strict_with(r#"{"additionalProperties": {"type": "string"}}"#);
    let name = "ö".repeat(5_000);
    let text = json!({ name.as_str(): 7 }).to_string();
    let error = TopicCodec::new(&CLOSED)
        .decode(text.as_bytes())
        .unwrap_err();
    let field = error.field().unwrap();
    assert!(field.starts_with('ö') && field.len() <= 302, "{field}");
    assert!(error.to_string().len() < 800, "{error}");
    // The same of the typed decode, in path and words.
    for text in [
        format!(r#"{{"{name}": {{"id": []}}}}"#),
        format!(r#"{{"a": {{"id": "{name}"}}}}"#),
    ] {
        type Ids = std::collections::BTreeMap<String, Id>;
        const IDS: Topic<Ids> = Topic::json("ids");
        let error = TopicCodec::new(&IDS).decode(text.as_bytes()).unwrap_err();
        assert!(error.field().unwrap().len() <= 302, "{error}");
        assert!(error.to_string().len() < 800, "{error}");
    }
}
