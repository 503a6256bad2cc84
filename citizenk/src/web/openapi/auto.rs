//! The automatic endpoints in the document: the general ones, and one path per topic and agent of the
//! app with its own schemas, so that a reader sees what this service takes.

use serde_json::{Value, json};

use super::{Builder, Head};
use crate::topic::describe::TopicInfo;
use crate::web::auto::{body_media_type, record_parameters};
use crate::web::config::WebConfig;
use crate::web::describe::Operation;
use crate::web::extract::JSON;
use crate::web::port::{ServiceInfo, TopicDoc};

const SERVICE: &str = "Service";
const TOPICS: &str = "Topics";
const AGENTS: &str = "Agents";
const HEALTH: &str = "Health";

pub(super) fn add(builder: &mut Builder, info: &ServiceInfo, config: &WebConfig) {
    if config.auto {
        service(builder);
        topics(builder, info, config);
        agents(builder, info, config);
    }
    health(builder);
    join(builder);
}

/// Two types of one name and equal schemas become one schema.
fn join(builder: &mut Builder) {
    builder.take_schemas();
    let mut paths = Value::Object(std::mem::take(&mut builder.paths));
    // Names OpenAPI does not allow (`Page<Video>` as a renamed type) are changed first.
    let own = std::mem::take(&mut builder.components).into_json();
    let renames = builder.components.absorb(&own);
    super::rewrite(&mut paths, &renames);
    let renames = builder.components.join_equal("schemas");
    super::rewrite(&mut paths, &renames);
    if let Value::Object(paths) = paths {
        builder.paths = paths;
    }
}

fn head<'a>(id: &'a str, doc: &'a str, tag: &'a str) -> Head<'a> {
    Head {
        id,
        doc,
        tag: Some(tag),
        secured: false,
    }
}

fn answers(operation: &mut Operation, description: &str, schema: Value) {
    operation.response("200", description, Some((JSON, schema)));
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

fn service(builder: &mut Builder) {
    builder.operation(
        "get",
        "/info",
        &head(
            "get_info",
            "What this service is: agents, topics, timers, hooks, routes, broker.",
            SERVICE,
        ),
        |operation| answers(operation, "The service", any_object()),
    );
    builder.operation(
        "get",
        "/stats",
        &head(
            "get_stats",
            "Statistics of every consumer and producer: the Kafka client's and the service's own.",
            SERVICE,
        ),
        |operation| answers(operation, "The statistics", any_object()),
    );
}

fn topics(builder: &mut Builder, info: &ServiceInfo, config: &WebConfig) {
    builder.tag(
        json!({ "name": TOPICS, "description": "Send records to the topics of this service." }),
    );
    builder.operation(
        "get",
        "/topics",
        &head("list_topics", "The topics of this service.", TOPICS),
        |operation| {
            answers(
                operation,
                "The topics",
                json!({ "type": "array", "items": any_object() }),
            );
        },
    );
    let names: Vec<&str> = info.writable().map(|topic| topic.info.name).collect();
    let doc = "Sends a record to a topic and answers after the broker's acknowledgement.\n\n\
               The body is one value in the form its topic takes, which is described at the topic's own path.";
    let secured = config.token.is_some();
    builder.operation(
        "post",
        "/topics/{topic}",
        &Head {
            secured,
            ..head("send_to_topic", doc, TOPICS)
        },
        |operation| {
            operation.parameter("path", "topic", true, one_of(&names));
            operation.body(JSON, json!({}));
            send(operation, secured);
        },
    );
    for topic in info.writable() {
        let id = format!("send_to_topic_{}", identifier(topic.info.name));
        let doc = format!(
            "Sends a record to topic `{}` and answers after the broker's acknowledgement.",
            topic.info.name
        );
        builder.operation(
            "post",
            &format!("/topics/{}", segment(topic.info.name)),
            &Head {
                secured,
                ..head(&id, &doc, TOPICS)
            },
            |operation| {
                value_body(operation, &topic.info);
                send(operation, secured);
            },
        );
    }
}

fn agents(builder: &mut Builder, info: &ServiceInfo, config: &WebConfig) {
    builder.tag(json!({ "name": AGENTS, "description": "Call the agents of this service directly, bypassing Kafka." }));
    builder.operation(
        "get",
        "/agents",
        &head("list_agents", "The agents of this service.", AGENTS),
        |operation| {
            answers(
                operation,
                "The agents",
                json!({ "type": "array", "items": any_object() }),
            );
        },
    );
    let names: Vec<&str> = info
        .agents
        .iter()
        .map(|agent| agent.name.as_str())
        .collect();
    let doc = "Calls an agent with a record, bypassing the topic.\n\n\
               The body is one value as it stands on the topic. What the agent sends goes to its topics as always.";
    let secured = config.token.is_some();
    builder.operation(
        "post",
        "/agents/{agent}/{topic}",
        &Head {
            secured,
            ..head("call_agent", doc, AGENTS)
        },
        |operation| {
            operation.parameter("path", "agent", true, one_of(&names));
            operation.parameter("path", "topic", true, json!({ "type": "string" }));
            operation.body(JSON, json!({}));
            call(operation, secured);
        },
    );
    for agent in &info.agents {
        let topics: Vec<&TopicDoc> = agent
            .topics
            .iter()
            .filter_map(|topic| info.topic(topic))
            .collect();
        for topic in topics {
            let name = topic.info.name;
            let id = format!(
                "call_agent_{}_{}",
                identifier(&agent.name),
                identifier(name)
            );
            let doc = format!(
                "Calls agent `{}` with a record of topic `{name}`, bypassing the topic.\n\n{}",
                agent.name, agent.doc
            );
            builder.operation(
                "post",
                &format!("/agents/{}/{}", agent.name, segment(name)),
                &Head {
                    secured,
                    ..head(&id, &doc, AGENTS)
                },
                |operation| {
                    value_body(operation, &topic.info);
                    call(operation, secured);
                },
            );
        }
    }
}

fn health(builder: &mut Builder) {
    builder.operation(
        "get",
        "/health/live",
        &head(
            "health_live",
            "Whether the process answers at all. Independent of handlers and broker.",
            HEALTH,
        ),
        |operation| answers(operation, "Alive", any_object()),
    );
    let doc = "Whether the service works; lists every condition.";
    builder.operation(
        "get",
        "/health/ready",
        &head("health_ready", doc, HEALTH),
        |operation| {
            let schema = readiness();
            answers(operation, "Ready", schema.clone());
            operation.response("503", "Not ready", Some((JSON, schema)));
        },
    );
    builder.operation(
        "get",
        "/metrics",
        &head(
            "get_metrics",
            "Metrics for Prometheus (OpenMetrics text).",
            HEALTH,
        ),
        |operation| {
            let text = json!({ "type": "string" });
            operation.response(
                "200",
                "The metrics",
                Some(("application/openmetrics-text", text)),
            );
        },
    );
}

fn readiness() -> Value {
    json!({
        "type": "object",
        "properties": {
            "ready": { "type": "boolean" },
            "conditions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "ok": { "type": "boolean" },
                        "detail": { "type": "string" }
                    },
                    "required": ["name", "ok", "detail"]
                }
            }
        },
        "required": ["ready", "conditions"]
    })
}

fn value_body(operation: &mut Operation, topic: &TopicInfo) {
    let mut schema = topic.value_schema(&mut operation.generator).to_value();
    let own = topic.schemas_json(topic.name);
    let mut avro = own.as_array().into_iter().flatten();
    let avro = avro.find(|own| own["type"] == "AVRO" && own["side"] == "value");
    // What the JSON becomes on the topic.
    if let (Some(own), Some(schema)) = (avro, schema.as_object_mut()) {
        schema.insert("x-avro-schema".to_owned(), own["schema"].clone());
    }
    operation.body(body_media_type(topic), schema);
}

/// What a request is answered that writes a record, whose body is there already.
pub(crate) fn send(operation: &mut Operation, secured: bool) {
    answers(
        operation,
        "The broker has acknowledged the record",
        json!({
            "type": "object",
            "properties": {
                "topic": { "type": "string" },
                "partition": { "type": "integer", "format": "int32" },
                "offset": { "type": "integer", "format": "int64" }
            },
            "required": ["topic", "partition", "offset"]
        }),
    );
    record(operation, secured);
    operation.problem("503", "The broker cannot be reached now");
    operation.problem(
        "504",
        "No acknowledgement came; the record may or may not have been written",
    );
}

fn call(operation: &mut Operation, secured: bool) {
    answers(
        operation,
        "What became of the record",
        json!({
            "type": "object",
            "properties": {
                "outcome": { "type": "string" },
                "outputs": { "type": "integer", "minimum": 0 }
            },
            "required": ["outcome", "outputs"]
        }),
    );
    record(operation, secured);
}

fn record(operation: &mut Operation, secured: bool) {
    for (name, schema) in record_parameters() {
        operation.parameter("query", name, false, schema);
    }
    // A tombstone has no body.
    if let Some(body) = &mut operation.body {
        body["required"] = false.into();
    }
    operation.problem("400", "The request is malformed");
    if secured {
        operation.problem("401", "The bearer token is missing or wrong");
    }
    operation.problem(
        "403",
        "Not allowed on this address, or asked for by another site",
    );
    operation.problem("404", "This service has no such topic or agent");
    operation.problem("413", "The body is too large");
    operation.problem("415", "The body has the wrong content type");
    operation.problem("422", "A value is wrong; `field` says which");
}

pub(crate) fn one_of(names: &[&str]) -> Value {
    // An empty list would be a schema nothing matches.
    if names.is_empty() {
        return json!({ "type": "string" });
    }
    json!({ "type": "string", "enum": names })
}

/// `CLUSTER/TOPIC` is one segment of a path.
fn segment(name: &str) -> String {
    name.replace('/', "%2F")
}

/// As part of an operation id: generators make function names of it.
fn identifier(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}
