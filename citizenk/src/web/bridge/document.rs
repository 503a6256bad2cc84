//! The bridge in the OpenAPI document.

use std::sync::Arc;

use serde_json::{Value, json};

use super::BridgeTopic;
use crate::web::Operation;
use crate::web::auto::body_media_type;
use crate::web::openapi::auto::{one_of, send};

const UNREACHABLE: &str = "No such topic can be reached from here";

fn topic_parameter(operation: &mut Operation, topics: &[Arc<BridgeTopic>]) {
    let names: Vec<&str> = topics.iter().map(|topic| topic.info.name).collect();
    operation.parameter("path", "topic", true, one_of(&names));
}

pub(super) fn producer(operation: &mut Operation, topics: &[Arc<BridgeTopic>]) {
    topic_parameter(operation, topics);
    let mut content = serde_json::Map::new();
    for topic in topics {
        let schema = topic.info.value_schema(&mut operation.generator).to_value();
        let media = content
            .entry(body_media_type(&topic.info))
            .or_insert_with(|| json!({ "schema": { "anyOf": [] } }));
        if let Some(any) = media["schema"]["anyOf"].as_array_mut()
            && !any.contains(&schema)
        {
            any.push(schema);
        }
    }
    operation.body = Some(json!({ "content": content }));
    send(operation, true);
    operation.problem("404", UNREACHABLE);
}

pub(super) fn consumer(operation: &mut Operation, topics: &[Arc<BridgeTopic>]) {
    topic_parameter(operation, topics);
    for topic in topics {
        // Known to the document, so that clients are generated for it.
        topic.info.value_schema(&mut operation.generator);
    }
    let text =
        |description: &str| -> Value { json!({ "type": "string", "description": description }) };
    operation.parameter(
        "query",
        "from",
        false,
        text(
            "Where to begin: `latest` (the default), `earliest`, an offset, a time (RFC 3339), or how long ago, e.g. `-1h`.",
        ),
    );
    let last = "Where the client was: the id of the last event it has, or the next offset of each partition, e.g. `p0:17,p1:4`.";
    operation.parameter("query", "last_event_id", false, text(last));
    operation.parameter("header", "Last-Event-ID", false, text(last));
    operation.response(
        "101",
        "A websocket. Each message is an object: a record with `partition`, `offset`, `timestamp`, `key` and `value`; `message`, a greeting or what the client sent; or `gap`, how many records are missing",
        None,
    );
    operation.response(
        "200",
        "An event stream. Each event is a record as an object with `partition`, `offset`, `timestamp`, `key` and `value`; an event `connected` is the first one, `gap` says how many records are missing, `ended` that the client should come again",
        Some(("text/event-stream", json!({ "type": "string" }))),
    );
    operation.problem("400", "The query is wrong");
    operation.problem("403", "The page belongs to another site");
    operation.problem("404", UNREACHABLE);
    operation.problem("409", "The broker cannot find the place, e.g. by time");
    operation.problem("426", "The request is not one for a websocket");
    operation.problem(
        "503",
        "Too many clients are reading what was written before they came, the broker cannot be reached, or the service is stopping",
    );
}
