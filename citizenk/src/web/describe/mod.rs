//! How handlers document themselves.
//!
//! In: the argument and return types of a handler, one after the other. Out: the parts of an OpenAPI
//! operation as JSON, with schemas gathered in one generator. Owned by the document's builder, which
//! lends an [`Operation`] to each route.

mod input;
mod output;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub use input::ApiInput;
pub use output::ApiOutput;

use super::Problem;
use crate::extract::StateRequirement;

/// A generator whose references fit an OpenAPI 3.1 document.
pub(super) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator()
}

/// One operation of the OpenAPI document while it is described.
#[derive(Debug)]
pub struct Operation {
    pub(super) generator: SchemaGenerator,
    /// The names in the path, in order.
    pub(super) path_names: Vec<String>,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    pub(super) responses: Map<String, Value>,
    /// State the handler needs.
    pub(super) states: Vec<StateRequirement>,
}

impl Operation {
    pub(super) fn new(path: &str, generator: SchemaGenerator) -> Self {
        Self {
            generator,
            path_names: path_names(path),
            parameters: Vec::new(),
            body: None,
            responses: Map::new(),
            states: Vec::new(),
        }
    }

    /// A reference to the schema of `T`, or the schema itself where it is simple.
    pub fn schema<T: JsonSchema + ?Sized>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// The schema of `T` itself, never a reference, for reading its properties.
    pub(super) fn inline_schema<T: JsonSchema + ?Sized>(&mut self) -> Schema {
        T::json_schema(&mut self.generator)
    }

    /// Documents a parameter; `place` is `path`, `query`, `header` or `cookie`. A later one of the same
    /// name and place replaces an earlier one.
    pub fn parameter(&mut self, place: &str, name: &str, required: bool, mut schema: Value) {
        // A description of the value is better read beside the parameter's name.
        let description = schema
            .as_object_mut()
            .filter(|schema| !schema.contains_key("$ref"))
            .and_then(|schema| schema.remove("description"));
        let mut parameter = json!({
            "name": name,
            "in": place,
            "required": required || place == "path",
            "schema": schema,
        });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        match self
            .parameters
            .iter_mut()
            .find(|known| known["name"] == name && known["in"] == place)
        {
            Some(known) => *known = parameter,
            None => self.parameters.push(parameter),
        }
    }

    /// Documents the request's body.
    pub fn body(&mut self, media_type: &str, schema: Value) {
        self.body = Some(json!({
            "required": true,
            "content": { media_type: { "schema": schema } },
        }));
    }

    /// Documents an answer; `status` is a code, a range like `2XX`, or `default`.
    pub fn response(&mut self, status: &str, description: &str, content: Option<(&str, Value)>) {
        let mut response = json!({ "description": description });
        if let Some((media_type, schema)) = content {
            response["content"] = json!({ media_type: { "schema": schema } });
        }
        self.responses.insert(status.to_owned(), response);
    }

    /// Documents an error.
    pub fn problem(&mut self, status: &str, description: &str) {
        let schema = self.schema::<Problem>();
        self.response(status, description, Some((Problem::MEDIA_TYPE, schema)));
    }

    /// Declares path parameters nobody described, adds the general problem, and takes it apart.
    pub(super) fn finish(mut self) -> (Map<String, Value>, SchemaGenerator) {
        for name in std::mem::take(&mut self.path_names) {
            let declared = self
                .parameters
                .iter()
                .any(|parameter| parameter["in"] == "path" && parameter["name"] == *name);
            if !declared {
                self.parameter("path", &name, true, json!({ "type": "string" }));
            }
        }
        if !self
            .responses
            .keys()
            .any(|status| status.starts_with(['1', '2', '3']))
        {
            self.response("2XX", "Success", None);
        }
        if !self.responses.contains_key("default") {
            self.problem("default", "Any other problem");
        }
        let mut operation = Map::new();
        if !self.parameters.is_empty() {
            operation.insert("parameters".to_owned(), self.parameters.into());
        }
        if let Some(body) = self.body {
            operation.insert("requestBody".to_owned(), body);
        }
        operation.insert("responses".to_owned(), self.responses.into());
        (operation, self.generator)
    }
}

/// The state a handler needs.
pub(super) fn states(path: &str, describe: &dyn Fn(&mut Operation)) -> Vec<StateRequirement> {
    let mut operation = Operation::new(path, generator());
    describe(&mut operation);
    operation.states
}

/// The parameter names of an axum path, in order.
pub(super) fn path_names(path: &str) -> Vec<String> {
    path.split('/')
        .filter_map(|segment| {
            let (_, rest) = segment.split_once('{')?;
            let (name, _) = rest.split_once('}')?;
            Some(name.trim_start_matches('*').to_owned())
        })
        .collect()
}

/// Asks a type how it is documented, if it says so at all.
///
/// `(&Probe::<T>::new()).input(op)` calls the trait's method for types that implement [`ApiInput`] and
/// does nothing for others: method lookup tries `Probe<T>` behind one reference before two. Generic code
/// cannot choose this way, so the attribute writes the call out per argument.
#[derive(Debug)]
pub struct Probe<T: ?Sized>(std::marker::PhantomData<fn() -> T>);

impl<T: ?Sized> Probe<T> {
    /// A question about `T`.
    #[must_use]
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: ?Sized> Default for Probe<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Probe`] of a documented argument.
pub trait InputProbe {
    /// Documents the argument.
    fn input(&self, operation: &mut Operation);
}

impl<T: ApiInput> InputProbe for Probe<T> {
    fn input(&self, operation: &mut Operation) {
        T::input(operation);
    }
}

/// [`Probe`] of an argument without documentation.
pub trait NoInputProbe {
    /// Does nothing.
    fn input(&self, _: &mut Operation) {}
}

impl<T: ?Sized> NoInputProbe for &Probe<T> {}

/// [`Probe`] of a documented return type.
pub trait OutputProbe {
    /// Documents what is returned.
    fn output(&self, operation: &mut Operation);
}

impl<T: ApiOutput> OutputProbe for Probe<T> {
    fn output(&self, operation: &mut Operation) {
        T::output(operation);
    }
}

/// [`Probe`] of a return type without documentation.
pub trait NoOutputProbe {
    /// Does nothing.
    fn output(&self, _: &mut Operation) {}
}

impl<T: ?Sized> NoOutputProbe for &Probe<T> {}
