//! What a JSON Schema says of a topic's values, beyond what their Rust type does.
//!
//! In: a value's JSON. Out: nothing, or the first fault with its field (which is not looked for in a large value). The
//! schema is compiled once per app and topic, when the app is put together or its first value comes; topics without
//! rules pass none of this.

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, ValidationError};
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::Wire;
use crate::codec::Json;
use crate::error::{DecodeError, EncodeError, Step, cut, field_path};

/// Which schema.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rules {
    /// That of the values' type.
    Type(fn(&mut SchemaGenerator) -> Schema),
    /// This text.
    Text(&'static str),
}

/// Compiled rules, or why they are none.
pub(crate) type Compiled = Result<jsonschema::Validator, String>;

/// How much of a fault is told.
const LONGEST: usize = 300;
/// How much of a value is shown in it.
const LONGEST_VALUE: usize = 40;

impl Rules {
    /// As listings name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Type(_) => "strict",
            Self::Text(_) => "strict with a schema of its own",
        }
    }

    /// Whether these are compiled already. Two addresses of one thing are no harm: it is compiled twice. One
    /// address of two functions is none either: the linker merges only what does the same.
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Type(one), Self::Type(other)) => std::ptr::fn_addr_eq(one, other),
            (Self::Text(one), Self::Text(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }

    fn schema(self) -> Result<Value, String> {
        match self {
            Self::Type(schema) => {
                let mut generator = SchemaSettings::draft2020_12().into_generator();
                let mut schema = schema(&mut generator).to_value();
                let definitions = generator.take_definitions(true);
                if let (Some(object), false) = (schema.as_object_mut(), definitions.is_empty()) {
                    object.insert("$defs".to_owned(), definitions.into());
                }
                Ok(schema)
            }
            Self::Text(text) => serde_json::from_str(text)
                .map_err(|error| format!("its JSON Schema is not JSON: {error}")),
        }
    }

    /// Formats (`date-time`, `email`) count. Patterns are matched in linear time, whatever the values are; schemas
    /// elsewhere are not fetched.
    pub(crate) fn compile(self) -> Compiled {
        let schema = self.schema()?;
        jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| {
                let place = error.schema_path().as_str().to_owned();
                let at = error.instance_path().as_str();
                let place = if at.is_empty() { place.as_str() } else { at };
                format!(
                    "its JSON Schema cannot be used: at `{place}`: {}",
                    cut(error.to_string(), LONGEST)
                )
            })
    }

    /// Put into the generator's document under the name of its topic: a reference to it. `None` where the type's own
    /// schema says the same, or where the text cannot stand in another document.
    #[cfg(any(feature = "web", feature = "cli"))]
    pub(crate) fn document(self, topic: &str, generator: &mut SchemaGenerator) -> Option<Schema> {
        let Self::Text(_) = self else { return None };
        let schema = self.schema().ok()?;
        // No type is called so.
        let plain = format!("{}.value", topic.replace(|c| !is_of_names(c), "_"));
        let folder = generator.settings().definitions_path.trim_matches('/');
        let folder = folder.to_owned();
        // `eu/orders` and `eu_orders` come to one name; equal schemas may share it.
        let names = (2..).map(|number| format!("{plain}.{number}"));
        for name in std::iter::once(plain.clone()).chain(names) {
            let at = format!("#/{folder}/{name}");
            let embedded = super::embed::embedded(schema.clone(), &at)?;
            match generator.definitions().get(&name) {
                Some(known) if *known != embedded => {}
                Some(_) => return Some(Schema::new_ref(at)),
                None => {
                    generator.definitions_mut().insert(name, embedded);
                    return Some(Schema::new_ref(at));
                }
            }
        }
        None
    }

    pub(crate) fn check_read(self, wire: &Wire, json: &[u8]) -> Result<(), DecodeError> {
        self.check(wire, json).map_err(|fault| {
            let message = fault.message;
            DecodeError::message(NAME, message).with_field(fault.field)
        })
    }

    pub(crate) fn check_written(self, wire: &Wire, json: &[u8]) -> Result<(), EncodeError> {
        self.check(wire, json).map_err(|fault| {
            let field = fault.field.map(|field| format!("field `{field}`: "));
            let field = field.unwrap_or_default();
            EncodeError::new(NAME, format!("{field}{}", fault.message))
        })
    }

    fn check(self, wire: &Wire, json: &[u8]) -> Result<(), Fault> {
        let (_, compiled) = wire
            .rules
            .find_or_add(|(known, _)| known.is(self), || (self, self.compile()));
        let validator = compiled.as_ref().map_err(|reason| Fault {
            field: None,
            message: reason.clone(),
        })?;
        // Typed decoding has passed, or these are our own bytes.
        let value: Value = serde_json::from_slice(json).map_err(|error| Fault {
            field: None,
            message: error.to_string(),
        })?;
        match validator.is_valid(&value) {
            true => Ok(()),
            false => Err(fault(validator, &value, json.len())),
        }
    }
}

#[cfg(any(feature = "web", feature = "cli"))]
fn is_of_names(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

const NAME: &str = <Json as crate::codec::Codec>::NAME;

/// In a value of more bytes the fault is not looked for.
const EXPLAINED: usize = 16 * 1024;

struct Fault {
    field: Option<String>,
    message: String,
}

#[cold]
fn fault(validator: &jsonschema::Validator, value: &Value, size: usize) -> Fault {
    // Each error owns its whole path, and one value can have as many as it has bytes.
    let first = (size <= EXPLAINED).then(|| validator.validate(value).err());
    let Some(Some(first)) = first else {
        return Fault {
            field: None,
            message: "its schema does not allow it".to_owned(),
        };
    };
    let shown = cut(first.instance().to_string(), LONGEST_VALUE);
    let message = cut(
        format!(
            "its schema does not allow it: {}",
            first.masked_with(format!("`{shown}`"))
        ),
        LONGEST,
    );
    Fault {
        field: field(&first),
        message,
    }
}

/// Of a missing or superfluous property the property's own path.
fn field(error: &ValidationError<'_>) -> Option<String> {
    let segments = error.instance_path().segments();
    let mut path: Vec<Step> = segments
        .map(|segment| match segment {
            LocationSegment::Property(name) => Step::Key(name.into_owned()),
            LocationSegment::Index(index) => Step::Index(index),
        })
        .collect();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            path.extend(property.as_str().map(|name| Step::Key(name.to_owned())));
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            path.extend(unexpected.first().map(|name| Step::Key(name.clone())));
        }
        _ => {}
    }
    (!path.is_empty()).then(|| field_path(&path))
}

#[cfg(all(test, any(feature = "web", feature = "cli")))]
mod tests {
    use super::*;

    #[test]
    fn topics_with_one_name_in_a_document_have_a_schema_each() {
        let mut generator = SchemaGenerator::default();
        let (one, other) = (
            Rules::Text(r#"{"type": "object"}"#),
            Rules::Text(r#"{"type": "array"}"#),
        );
        let mut of = |rules: Rules, topic: &str| {
            let schema = rules.document(topic, &mut generator).expect("a schema");
            schema.to_value()["$ref"]
                .as_str()
                .expect("its place")
                .to_owned()
        };
        for _ in 0..2 {
            assert!(of(one, "eu/orders").ends_with("/eu_orders.value"));
            assert!(of(other, "eu_orders").ends_with("/eu_orders.value.2"));
            assert!(of(one, "eu orders").ends_with("/eu_orders.value"));
        }
        let kind = |name: &str| generator.definitions()[name]["type"].clone();
        assert_eq!(kind("eu_orders.value"), "object");
        assert_eq!(kind("eu_orders.value.2"), "array");
    }
}
