//! The bridge in the OpenAPI document.

use std::sync::Arc;

use serde_json::{Value, json};

use super::BridgeTopic;
use crate::web::Operation;
use crate::web::auto::{body_media_type, record_parameters};

fn topic_parameter(operation: &mut Operation, topics: &[Arc<BridgeTopic>]) {
    let names: Vec<&str> = topics.iter().map(|topic| topic.info.name).collect();
    // An empty list would be a schema nothing matches.
    let schema = if names.is_empty() {
        json!({ "type": "string" })
    } else {
        json!({ "type": "string", "enum": names })
    };
    operation.parameter("path", "topic", true, schema);
}

pub(super) fn producer(operation: &mut Operation, topics: &[Arc<BridgeTopic>]) {
    topic_parameter(operation, topics);
    for (name, schema) in record_parameters() {
        operation.parameter("query", name, false, schema);
    }
    let mut content = serde_json::Map::new();
    for topic in topics {
        let schema = (topic.info.schema)(&mut operation.generator).to_value();
        let media = content
            .entry(body_media_type(&topic.info))
            .or_insert_with(|| json!({ "schema": { "anyOf": [] } }));
        if let Some(any) = media["schema"]["anyOf"].as_array_mut()
            && !any.contains(&schema)
        {
            any.push(schema);
        }
    }
    // A tombstone has no body.
    operation.body = Some(json!({ "required": false, "content": content }));
    let sent = json!({
        "type": "object",
        "properties": {
            "topic": { "type": "string" },
            "partition": { "type": "integer", "format": "int32" },
            "offset": { "type": "integer", "format": "int64" }
        },
        "required": ["topic", "partition", "offset"]
    });
    operation.response(
        "200",
        "The broker has acknowledged the record",
        Some(("application/json", sent)),
    );
    operation.problem("400", "The request is malformed");
    operation.problem("401", "The bearer token is missing or wrong");
    operation.problem(
        "403",
        "Not allowed on this address, or asked for by another site",
    );
    operation.problem("404", "No such topic can be reached from here");
    operation.problem("413", "The body is too large");
    operation.problem("415", "The body has the wrong content type");
    operation.problem("422", "A value is wrong; `field` says which");
    operation.problem("503", "The broker cannot be reached now");
    operation.problem(
        "504",
        "No acknowledgement came; the record may or may not have been written",
    );
}

pub(super) fn consumer(operation: &mut Operation, topics: &[Arc<BridgeTopic>]) {
    topic_parameter(operation, topics);
    for topic in topics {
        // Known to the document, so that clients are generated for it.
        (topic.info.schema)(&mut operation.generator);
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
    operation.problem("404", "No such topic can be reached from here");
    operation.problem("409", "The broker cannot find the place, e.g. by time");
    operation.problem("426", "The request is not one for a websocket");
    operation.problem(
        "503",
        "Too many clients are reading what was written before they came, the broker cannot be reached, or the service is stopping",
    );
}
