//! Return types of handlers that appear in the OpenAPI document.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{Html, NoContent, Redirect};
use schemars::JsonSchema;
use serde_json::json;

use super::Operation;
use crate::web::Problem;
use crate::web::extract::{JSON, Json};

/// Return types that document themselves. Types without it are simply not documented.
pub trait ApiOutput {
    /// Adds answers to the operation.
    fn output(operation: &mut Operation);
}

fn json_answer<T: JsonSchema>(operation: &mut Operation) {
    let schema = operation.schema::<T>();
    operation.response("200", "Success", Some((JSON, schema)));
}

impl<T: JsonSchema> ApiOutput for Json<T> {
    fn output(operation: &mut Operation) {
        json_answer::<T>(operation);
    }
}

impl<T: JsonSchema> ApiOutput for axum::Json<T> {
    fn output(operation: &mut Operation) {
        json_answer::<T>(operation);
    }
}

impl ApiOutput for Problem {
    fn output(operation: &mut Operation) {
        operation.problem("default", "Any other problem");
    }
}

impl<T: ApiOutput, E: ApiOutput> ApiOutput for Result<T, E> {
    fn output(operation: &mut Operation) {
        T::output(operation);
        E::output(operation);
    }
}

impl ApiOutput for StatusCode {
    fn output(operation: &mut Operation) {
        operation.response("2XX", "Success", None);
    }
}

impl<T: ApiOutput> ApiOutput for (StatusCode, T) {
    /// Which status is known at run time only, so the answer is documented for all good ones.
    fn output(operation: &mut Operation) {
        T::output(operation);
        if let Some(answer) = operation.responses.remove("200") {
            operation.responses.insert("2XX".to_owned(), answer);
        }
    }
}

impl ApiOutput for () {
    fn output(operation: &mut Operation) {
        operation.response("200", "Success", None);
    }
}

impl ApiOutput for NoContent {
    fn output(operation: &mut Operation) {
        operation.response("204", "Success", None);
    }
}

impl ApiOutput for Redirect {
    fn output(operation: &mut Operation) {
        operation.response("3XX", "Elsewhere", None);
    }
}

impl<T> ApiOutput for Html<T> {
    fn output(operation: &mut Operation) {
        let text = Some(("text/html", json!({ "type": "string" })));
        operation.response("200", "Success", text);
    }
}

macro_rules! text {
    ($($name:ty),*) => {$(
        impl ApiOutput for $name {
            fn output(operation: &mut Operation) {
                let text = Some(("text/plain", json!({ "type": "string" })));
                operation.response("200", "Success", text);
            }
        }
    )*};
}

text!(String, &'static str, Cow<'static, str>);

macro_rules! bytes {
    ($($name:ty),*) => {$(
        impl ApiOutput for $name {
            fn output(operation: &mut Operation) {
                let bytes = Some(("application/octet-stream", json!({})));
                operation.response("200", "Success", bytes);
            }
        }
    )*};
}

bytes!(Bytes, Vec<u8>);
