//! The AsyncAPI 3.0 document: topics and live endpoints as channels, what agents, timers, hooks and endpoints do
//! with them as operations.
//!
//! In: what the app is ([`ServiceInfo`]) and its endpoints. Out: one JSON document. A pure function, as that of
//! OpenAPI.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Problem;
use super::config::WebConfig;
use super::openapi::{info_object, split_doc};
use super::port::{AgentDoc, ServiceInfo, TaskDoc, TopicDoc};
use super::route::RouteDef;
use crate::config::DEFAULT_CLUSTER;
use crate::topic::describe::TopicInfo;

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Of the bindings for Kafka.
const BINDING: &str = "0.5.0";
/// Servers of this service's own.
const WEBSOCKET: &str = "websocket";
const EVENTS: &str = "events";

/// What stands behind an endpoint that goes on after its answer.
#[derive(Clone, Debug)]
pub(crate) struct LiveDoc {
    /// Served as a websocket, as an event stream, or as both.
    pub(crate) websocket: bool,
    pub(crate) events: bool,
    pub(crate) messages: LiveMessages,
}

#[derive(Clone, Debug)]
pub(crate) enum LiveMessages {
    /// Values for clients.
    Values(SchemaOf),
    /// Messages of clients, each of them answered.
    Answered(SchemaOf),
    /// Records of the topic that the path names.
    Records(Vec<TopicInfo>),
}

/// Makes the document.
pub(super) fn document(info: &ServiceInfo, config: &WebConfig, routes: &[RouteDef]) -> Value {
    let settings = SchemaSettings::draft07();
    let settings = settings.with(|all| all.definitions_path = "/components/schemas".into());
    let mut builder = Builder {
        generator: settings.into_generator(),
        channels: Map::new(),
        operations: Map::new(),
        messages: Map::new(),
        ids: BTreeSet::new(),
    };
    for topic in info.topics.iter().filter(|topic| !topic.info.internal) {
        builder.topic(topic, info);
    }
    for agent in &info.agents {
        builder.agent(agent);
    }
    for task in info.timers.iter().chain(&info.hooks) {
        builder.task(task);
    }
    for route in routes {
        let sends = route.sends.iter().map(|topic| topic.name);
        builder.sends(&route.name, route.origin.doc, sends);
        if let Some(live) = &route.live {
            builder.live(route, live);
        }
    }
    let live = routes.iter().filter_map(|route| route.live.as_ref());
    let (mut websocket, mut events) = (false, false);
    for doc in live {
        websocket |= doc.websocket;
        events |= doc.events;
    }
    builder.finish(info, servers(info, config, websocket, events))
}

fn servers(info: &ServiceInfo, config: &WebConfig, websocket: bool, events: bool) -> Value {
    let mut servers = Map::new();
    for cluster in &info.clusters {
        let hosts = cluster.bootstrap_servers.split(',').map(str::trim);
        // Without settings nobody knows where the brokers are.
        for (index, host) in hosts.filter(|host| !host.is_empty()).enumerate() {
            let name = server_name(cluster.name, index);
            servers.insert(name, json!({ "host": host, "protocol": "kafka" }));
        }
    }
    for (name, protocol, served) in [(WEBSOCKET, "ws", websocket), (EVENTS, "http", events)] {
        if served {
            let mut server = json!({
                "host": "{host}",
                "protocol": protocol,
                "variables": {
                    "host": { "default": "127.0.0.1:8000", "description": "Where the service is reached" }
                },
            });
            if !config.prefix.is_empty() {
                server["pathname"] = config.prefix.as_str().into();
            }
            servers.insert(name.to_owned(), server);
        }
    }
    servers.into()
}

fn server_name(cluster: &str, index: usize) -> String {
    let name = if cluster == DEFAULT_CLUSTER {
        "kafka".to_owned()
    } else {
        format!("kafka-{}", identifier(cluster))
    };
    if index == 0 {
        name
    } else {
        format!("{name}-{}", index + 1)
    }
}

/// The document while it grows.
struct Builder {
    generator: SchemaGenerator,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    /// Of operations.
    ids: BTreeSet<String>,
}

fn reference(kind: &str, id: &str) -> Value {
    json!({ "$ref": format!("#/{kind}/{id}") })
}

impl Builder {
    fn topic(&mut self, topic: &TopicDoc, service: &ServiceInfo) {
        let (info, real) = (&topic.info, topic.broker_name.as_str());
        let id = identifier(info.name);
        let mut message = json!({
            "name": info.name,
            "contentType": info.media_type,
            "payload": info.value_schema(&mut self.generator).to_value(),
            "bindings": { "kafka": {
                "key": { "description": format!("`{}`, written as {}", info.key_type, info.key_codec) },
                "bindingVersion": BINDING,
            } },
        });
        let schemas = info.schemas_json(real);
        let mut own = schemas.as_array().into_iter().flatten();
        // The payload says what the values are; this is what they are on the wire.
        if let Some(avro) = own.find(|own| own["type"] == "AVRO" && own["side"] == "value") {
            message["x-avro-schema"] = avro["schema"].clone();
        }
        self.messages.insert(id.clone(), message);
        let pattern = real.starts_with('^');
        let mut binding = json!({ "bindingVersion": BINDING });
        if !pattern {
            binding["topic"] = real.into();
        }
        if let Some(partitions) = info.declared.partitions {
            binding["partitions"] = partitions.into();
        }
        if let Some(replicas) = info.declared.replication {
            binding["replicas"] = replicas.into();
        }
        let mut channel = json!({
            // Which topics a pattern means is known on the broker only.
            "address": if pattern { Value::Null } else { real.into() },
            "title": info.name,
            "messages": { "record": reference("components/messages", &id) },
            "bindings": { "kafka": binding },
        });
        let cluster = service
            .clusters
            .iter()
            .find(|known| known.name == info.cluster);
        let hosts = cluster
            .into_iter()
            .flat_map(|cluster| cluster.bootstrap_servers.split(','));
        let hosts = hosts.filter(|host| !host.trim().is_empty()).enumerate();
        let servers: Vec<Value> = hosts
            .map(|(index, _)| reference("servers", &server_name(info.cluster, index)))
            .collect();
        if !servers.is_empty() {
            channel["servers"] = servers.into();
        }
        self.channels.insert(id, channel);
    }

    fn agent(&mut self, agent: &AgentDoc) {
        for topic in &agent.topics {
            let mut bindings = json!({ "bindingVersion": BINDING });
            if let Some(group) = &agent.group {
                bindings["groupId"] = json!({ "type": "string", "enum": [group] });
            }
            let id = format!("{}_receives_{}", agent.name, topic);
            if let Some(operation) = self.operation(&id, "receive", topic, &agent.doc) {
                operation["bindings"] = json!({ "kafka": bindings });
            }
        }
        let outputs = agent.outputs.iter().map(String::as_str);
        self.sends(&agent.name, &agent.doc, outputs);
    }

    fn task(&mut self, task: &TaskDoc) {
        let outputs = task.outputs.iter().map(String::as_str);
        self.sends(&task.name, &task.doc, outputs);
    }

    fn sends<'a>(&mut self, name: &str, doc: &str, topics: impl Iterator<Item = &'a str>) {
        for topic in topics {
            self.operation(&format!("{name}_sends_{topic}"), "send", topic, doc);
        }
    }

    /// Something done with the records of a topic; `None` for topics the document does not have.
    fn operation(&mut self, id: &str, action: &str, topic: &str, doc: &str) -> Option<&mut Value> {
        let channel = identifier(topic);
        self.channels.get(&channel)?;
        let operation = operation(action, &channel, "record", doc);
        let id = self.unique(id);
        Some(self.operations.entry(id).or_insert(operation))
    }

    fn unique(&mut self, wanted: &str) -> String {
        let wanted = identifier(wanted);
        let mut id = wanted.clone();
        let mut number = 2;
        while !self.ids.insert(id.clone()) {
            id = format!("{wanted}_{number}");
            number += 1;
        }
        id
    }

    fn live(&mut self, route: &RouteDef, live: &LiveDoc) {
        let kind = if live.websocket { WEBSOCKET } else { EVENTS };
        let mut channel_id = format!("{}_{kind}", identifier(&route.name));
        while self.channels.contains_key(&channel_id) {
            channel_id.push('_');
        }
        let mut message = |name: &str, payload: Value| {
            let id = format!("{channel_id}_{name}");
            let message = json!({ "contentType": "application/json", "payload": payload });
            self.messages.insert(id.clone(), message);
            (name.to_owned(), reference("components/messages", &id))
        };
        let generator = &mut self.generator;
        let names = super::describe::path_names(&route.path);
        let mut parameters: Map<String, Value> =
            names.into_iter().map(|name| (name, json!({}))).collect();
        let messages: Map<String, Value> = match &live.messages {
            LiveMessages::Values(schema) => [message("value", schema(generator).to_value())]
                .into_iter()
                .collect(),
            LiveMessages::Answered(schema) => [
                message("message", schema(generator).to_value()),
                message("accepted", accepted()),
                message("problem", generator.subschema_for::<Problem>().to_value()),
            ]
            .into_iter()
            .collect(),
            LiveMessages::Records(topics) => {
                let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
                parameters.insert("topic".to_owned(), json!({ "enum": names }));
                let values = topics.iter();
                let values = values.map(|topic| topic.value_schema(generator).to_value());
                let values: Vec<Value> = values.collect();
                [message("record", record(values))].into_iter().collect()
            }
        };
        let mut servers = Vec::new();
        for (name, served) in [(WEBSOCKET, live.websocket), (EVENTS, live.events)] {
            if served {
                servers.push(reference("servers", name));
            }
        }
        let mut channel = json!({
            "address": super::assemble::openapi_path(&route.path),
            "messages": messages,
            "servers": servers,
        });
        if !parameters.is_empty() {
            channel["parameters"] = parameters.into();
        }
        if live.websocket {
            let binding = json!({ "method": "GET", "bindingVersion": "0.1.0" });
            channel["bindings"] = json!({ "ws": binding });
        }
        self.channels.insert(channel_id.clone(), channel);
        let (action, name) = match &live.messages {
            LiveMessages::Values(_) => ("send", "value"),
            LiveMessages::Answered(_) => ("receive", "message"),
            LiveMessages::Records(_) => ("send", "record"),
        };
        let mut operation = operation(action, &channel_id, name, route.origin.doc);
        if matches!(live.messages, LiveMessages::Answered(_)) {
            let answers = ["accepted", "problem"]
                .map(|name| reference(&format!("channels/{channel_id}/messages"), name));
            operation["reply"] =
                json!({ "channel": reference("channels", &channel_id), "messages": answers });
        }
        let id = self.unique(&format!("{}_{action}s_{kind}", route.name));
        self.operations.insert(id, operation);
    }

    fn finish(mut self, info: &ServiceInfo, servers: Value) -> Value {
        let schemas = self.generator.take_definitions(true);
        let mut document = json!({
            "asyncapi": "3.0.0",
            "info": info_object(info),
            "defaultContentType": "application/json",
            "channels": self.channels,
            "operations": self.operations,
            "components": { "messages": self.messages, "schemas": schemas },
        });
        if servers
            .as_object()
            .is_some_and(|servers| !servers.is_empty())
        {
            document["servers"] = servers;
        }
        document
    }
}

fn operation(action: &str, channel: &str, message: &str, doc: &str) -> Value {
    let mut operation = json!({
        "action": action,
        "channel": reference("channels", channel),
        "messages": [reference(&format!("channels/{channel}/messages"), message)],
    });
    let (summary, description) = split_doc(doc);
    if !summary.is_empty() {
        operation["summary"] = summary.into();
    }
    if !description.is_empty() {
        operation["description"] = description.into();
    }
    operation
}

fn accepted() -> Value {
    json!({
        "type": "object",
        "properties": {
            "accepted": { "const": true },
            "partition": { "type": "integer", "format": "int32" },
            "offset": { "type": "integer", "format": "int64" }
        },
        "required": ["accepted"]
    })
}

fn record(values: Vec<Value>) -> Value {
    let mut record = json!({
        "type": "object",
        "properties": {
            "partition": { "type": "integer", "format": "int32" },
            "offset": { "type": "integer", "format": "int64" },
            "timestamp": { "type": ["integer", "null"], "format": "int64" },
            "key": { "type": ["string", "null"] }
        }
    });
    if !values.is_empty() {
        record["properties"]["value"] = json!({ "anyOf": values });
    }
    record
}

/// As a part of a reference.
fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect()
}
