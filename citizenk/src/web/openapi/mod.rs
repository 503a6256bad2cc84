//! The OpenAPI 3.1 document.
//!
//! In: what the app is ([`ServiceInfo`]), its annotated routes and the documents of its own routers, as
//! JSON. Out: one JSON document. A pure function: the same app gives the same bytes, before or while it
//! runs. Schemas come from one generator; they are never parsed into another crate's schema types,
//! which would lose what those types do not know.

pub(crate) mod auto;
mod components;

use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use self::components::{Components, rewrite};
use super::Problem;
use super::assemble::openapi_path;
use super::config::WebConfig;
use super::describe::{Operation, generator};
use super::port::ServiceInfo;
use super::route::RouteDef;

/// Makes the document; `others` are the documents of the app's own routers.
pub(super) fn document(
    info: &ServiceInfo,
    config: &WebConfig,
    routes: &[RouteDef],
    others: &[Value],
) -> Value {
    let mut builder = Builder::new();
    // Every type of the app gets its name before another document's names are fitted in.
    if let Some(generator) = &mut builder.generator {
        generator.subschema_for::<Problem>();
        for topic in &info.topics {
            topic.info.value_schema(generator);
        }
    }
    // Operation ids of the user's own come first: clients are generated from them.
    for route in routes {
        builder.route(route, config);
    }
    for other in others {
        builder.absorb(other);
    }
    auto::add(&mut builder, info, config);
    builder.finish(info, config)
}

/// The document while it grows.
struct Builder {
    /// `None` only while an operation holds it.
    generator: Option<SchemaGenerator>,
    paths: Map<String, Value>,
    components: Components,
    ids: BTreeSet<String>,
    tags: Vec<Value>,
}

/// What an operation says besides parameters, body and answers.
struct Head<'a> {
    id: &'a str,
    doc: &'a str,
    tag: Option<&'a str>,
    secured: bool,
}

impl Builder {
    fn new() -> Self {
        Self {
            generator: Some(generator()),
            paths: Map::new(),
            components: Components::default(),
            ids: BTreeSet::new(),
            tags: Vec::new(),
        }
    }

    fn route(&mut self, route: &RouteDef, config: &WebConfig) {
        let head = Head {
            id: &route.name,
            doc: route.origin.doc,
            tag: route.tag.as_deref(),
            secured: route.secured && config.token.is_some(),
        };
        let method = route.method.as_str().to_ascii_lowercase();
        self.operation(&method, &route.path, &head, |operation| {
            (route.describe)(operation);
            if let Some(routing) = &route.routing {
                routing.document(operation);
            }
        });
    }

    /// Adds an operation, described by `describe`.
    fn operation(
        &mut self,
        method: &str,
        path: &str,
        head: &Head<'_>,
        describe: impl FnOnce(&mut Operation),
    ) {
        let schemas = self.generator.take().unwrap_or_else(generator);
        let mut operation = Operation::new(path, schemas);
        describe(&mut operation);
        let (described, schemas) = operation.finish();
        self.generator = Some(schemas);

        let mut operation = Map::new();
        let id = self.unique_id(head.id);
        operation.insert("operationId".to_owned(), id.into());
        let (summary, description) = split_doc(head.doc);
        if !summary.is_empty() {
            operation.insert("summary".to_owned(), summary.into());
        }
        if !description.is_empty() {
            operation.insert("description".to_owned(), description.into());
        }
        if let Some(tag) = head.tag {
            self.tag(json!({ "name": tag }));
            operation.insert("tags".to_owned(), json!([tag]));
        }
        if head.secured {
            operation.insert("security".to_owned(), json!([{ "bearer": [] }]));
        }
        operation.extend(described);
        self.item(&openapi_path(path))
            .insert(method.to_owned(), operation.into());
    }

    fn item(&mut self, path: &str) -> &mut Map<String, Value> {
        let item = self
            .paths
            .entry(path)
            .or_insert_with(|| Value::Object(Map::new()));
        if !item.is_object() {
            *item = Value::Object(Map::new());
        }
        match item {
            Value::Object(item) => item,
            _ => unreachable!("made an object above"),
        }
    }

    fn unique_id(&mut self, wanted: &str) -> String {
        let mut id = wanted.to_owned();
        let mut number = 2;
        while !self.ids.insert(id.clone()) {
            id = format!("{wanted}_{number}");
            number += 1;
        }
        id
    }

    /// Adds a tag; the first description given wins.
    fn tag(&mut self, tag: Value) {
        match self
            .tags
            .iter_mut()
            .find(|known| known["name"] == tag["name"])
        {
            Some(known) if known.get("description").is_none() => *known = tag,
            Some(_) => {}
            None => self.tags.push(tag),
        }
    }

    /// Takes over another document's paths, components and tags.
    fn absorb(&mut self, other: &Value) {
        // The generator's schemas must be known before another document's names are chosen.
        self.take_schemas();
        let renames = self
            .components
            .absorb(other.get("components").unwrap_or(&Value::Null));
        let mut paths = other.get("paths").cloned().unwrap_or_default();
        rewrite(&mut paths, &renames);
        let security = other.get("security");
        for (path, item) in paths.as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let mut operation = operation.clone();
                if METHODS.contains(&method.as_str()) {
                    if let Some(id) = operation.get("operationId").and_then(Value::as_str) {
                        let id = self.unique_id(id);
                        operation["operationId"] = id.into();
                    }
                    describe_answers(&mut operation);
                    // A document-wide requirement must not spread to operations of others.
                    if let (Some(security), None) = (security, operation.get("security")) {
                        operation["security"] = security.clone();
                    }
                }
                self.item(path).insert(method.clone(), operation);
            }
        }
        for tag in other
            .get("tags")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.tag(tag.clone());
        }
    }

    fn take_schemas(&mut self) {
        // The definitions stay in the generator, so that a type keeps its name.
        let Some(generator) = &self.generator else {
            return;
        };
        let definitions = generator.definitions().clone();
        for (name, schema) in definitions {
            self.components.insert("schemas", &name, schema);
        }
    }

    fn finish(mut self, info: &ServiceInfo, config: &WebConfig) -> Value {
        let mut document = Map::new();
        document.insert("openapi".to_owned(), "3.1.0".into());
        document.insert("info".to_owned(), info_object(info));
        let server = if config.prefix.is_empty() {
            "/"
        } else {
            &config.prefix
        };
        document.insert("servers".to_owned(), json!([{ "url": server }]));
        if config.token.is_some() {
            self.components.insert(
                "securitySchemes",
                "bearer",
                json!({ "type": "http", "scheme": "bearer" }),
            );
        }
        document.insert("paths".to_owned(), self.paths.into());
        document.insert("components".to_owned(), self.components.into_json());
        if !self.tags.is_empty() {
            document.insert("tags".to_owned(), self.tags.into());
        }
        document.into()
    }
}

/// utoipa omits empty descriptions, which OpenAPI 3.1 requires.
fn describe_answers(operation: &mut Value) {
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        if let Some(response) = response.as_object_mut()
            && !response.contains_key("$ref")
        {
            response.entry("description").or_insert_with(|| {
                let status = status.parse().ok().and_then(|code: u16| {
                    axum::http::StatusCode::from_u16(code)
                        .ok()?
                        .canonical_reason()
                });
                status.unwrap_or_default().into()
            });
        }
    }
}

/// The fields of a path item that are operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

pub(super) fn info_object(info: &ServiceInfo) -> Value {
    let mut object = json!({ "title": info.title, "version": info.version });
    if let Some(description) = &info.description {
        object["description"] = description.as_str().into();
    }
    if let Some(license) = &info.license {
        object["license"] = json!({ "name": license.name });
        if let Some(url) = &license.url {
            object["license"]["url"] = url.as_str().into();
        }
    }
    object
}

/// A doc comment's first paragraph as one line, and the rest.
pub(super) fn split_doc(doc: &str) -> (String, String) {
    let doc = doc.trim();
    let (summary, rest) = doc.split_once("\n\n").unwrap_or((doc, ""));
    let lines: Vec<&str> = summary.lines().map(str::trim).collect();
    let rest: Vec<&str> = rest.lines().map(str::trim_end).collect();
    (lines.join(" "), rest.join("\n").trim().to_owned())
}
