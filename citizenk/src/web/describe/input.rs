//! Arguments of handlers that appear in the OpenAPI document.

use axum::body::Bytes;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::Operation;
use crate::web::extract::{JSON, Json, Path, Query};

/// Arguments that document themselves; a type of your own that reads a header, for example:
///
/// ```
/// use citizenk::http::{ApiInput, Operation};
///
/// struct Tenant(String);
///
/// impl ApiInput for Tenant {
///     fn input(operation: &mut Operation) {
///         operation.parameter("header", "x-tenant", true, serde_json::json!({ "type": "string" }));
///     }
/// }
/// ```
///
/// Arguments without it are simply not documented.
pub trait ApiInput {
    /// Adds parameters or a body to the operation.
    fn input(operation: &mut Operation);
}

fn json_body<T: JsonSchema>(operation: &mut Operation) {
    let schema = operation.schema::<T>();
    operation.body(JSON, schema);
    operation.problem("400", "The request is malformed");
    operation.problem("413", "The body is too large");
    operation.problem("415", "The body is not JSON");
    operation.problem("422", "A value of the body is wrong; `field` says which");
}

fn path_parameters<T: JsonSchema>(operation: &mut Operation) {
    let schema = operation.inline_schema::<T>().to_value();
    let names = operation.path_names.clone();
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, schema) in properties {
            if names.contains(name) {
                operation.parameter("path", name, true, schema.clone());
            }
        }
    } else if let Some(items) = schema.get("prefixItems").and_then(Value::as_array) {
        for (name, schema) in names.iter().zip(items) {
            operation.parameter("path", name, true, schema.clone());
        }
    } else if let [name] = names.as_slice() {
        operation.parameter("path", name, true, schema);
    }
    operation.problem("400", "The request is malformed");
}

fn query_parameters<T: JsonSchema>(operation: &mut Operation) {
    let schema = operation.inline_schema::<T>().to_value();
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    for (name, schema) in properties.unwrap_or(&none) {
        let required =
            required.is_some_and(|required| required.iter().any(|entry| entry == name.as_str()));
        operation.parameter("query", name, required, schema.clone());
    }
    operation.problem("400", "The request is malformed");
}

macro_rules! by {
    ($describe:ident: $($name:ty),*) => {$(
        impl<T: JsonSchema> ApiInput for $name {
            fn input(operation: &mut Operation) {
                $describe::<T>(operation);
            }
        }
    )*};
}

// axum's own too: a handler written for it is documented as it is.
by!(json_body: Json<T>, axum::Json<T>);
by!(path_parameters: Path<T>, axum::extract::Path<T>);
by!(query_parameters: Query<T>, axum::extract::Query<T>);

impl ApiInput for String {
    fn input(operation: &mut Operation) {
        operation.body("text/plain", json!({ "type": "string" }));
        operation.problem("413", "The body is too large");
    }
}

impl ApiInput for Bytes {
    fn input(operation: &mut Operation) {
        operation.body("application/octet-stream", json!({}));
        operation.problem("413", "The body is too large");
    }
}

impl<T: ApiInput> ApiInput for Option<T> {
    fn input(operation: &mut Operation) {
        let (before, had_body) = (operation.parameters.len(), operation.body.is_some());
        T::input(operation);
        for parameter in &mut operation.parameters[before..] {
            if parameter["in"] != "path" {
                parameter["required"] = false.into();
            }
        }
        if !had_body && let Some(body) = &mut operation.body {
            body["required"] = false.into();
        }
    }
}

impl<T: ApiInput, E> ApiInput for Result<T, E> {
    fn input(operation: &mut Operation) {
        T::input(operation);
    }
}
