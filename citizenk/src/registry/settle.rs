//! The id that a program's own schema has in a registry, or why it has none.

use serde_json::Value;

use super::Registry;
use super::diff::differences;
use super::error::RegistryError;
use super::schema::{Compatibility, NewSchema, SubjectVersion};
use crate::schema::{SchemaKind, SchemaMode};

/// Why a program's own schema has no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Something is wrong with the schema, and no retry makes it right: what, which field, and what the registry says.
    #[error("{0}")]
    Mistake(String),
    /// The registry did not do what it was asked.
    #[error(transparent)]
    Registry(RegistryError),
}

impl From<RegistryError> for SettleError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Invalid { .. } => Self::Mistake(error.to_string()),
            error => Self::Registry(error),
        }
    }
}

impl Registry {
    /// The id that records of this schema carry, registered first if the mode says so: what a service does for its
    /// topics when it starts.
    ///
    /// ```
    /// use citizenk::registry::{EmbeddedRegistry, NewSchema, SchemaMode};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let registry = EmbeddedRegistry::new().registry();
    /// let schema = NewSchema::avro(r#""string""#);
    /// let missing = registry.settle("notes-value", &schema, SchemaMode::CheckOnly).await.unwrap_err();
    /// assert!(missing.to_string().contains("is not registered"));
    /// let id = registry.settle("notes-value", &schema, SchemaMode::AutoRegister).await.unwrap();
    /// assert_eq!(registry.settle("notes-value", &schema, SchemaMode::CheckOnly).await, Ok(id));
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SettleError::Mistake`] where the schema is not compatible, not registered or not the latest; it names the
    /// field and what the registry says. [`SettleError::Registry`] where that does not answer.
    pub async fn settle(
        &self,
        subject: &str,
        schema: &NewSchema,
        mode: SchemaMode,
    ) -> Result<u32, SettleError> {
        settle(self, subject, schema, mode).await
    }

    /// What [`Registry::settle`] would answer; `None`: the schema would be registered. Registers nothing.
    #[cfg(feature = "cli")]
    pub(crate) async fn look(
        &self,
        subject: &str,
        schema: &NewSchema,
        mode: SchemaMode,
    ) -> Result<Option<u32>, SettleError> {
        if mode == SchemaMode::AutoRegister {
            return known(self, subject, schema).await;
        }
        settle(self, subject, schema, mode).await.map(Some)
    }
}

/// The id of a schema under a subject, registered if the mode says so.
async fn settle(
    registry: &Registry,
    subject: &str,
    schema: &NewSchema,
    mode: SchemaMode,
) -> Result<u32, SettleError> {
    if mode == SchemaMode::UseLatest {
        return use_latest(registry, subject, schema).await;
    }
    if let Some(id) = known(registry, subject, schema).await? {
        return Ok(id);
    }
    if mode == SchemaMode::CheckOnly {
        return Err(SettleError::Mistake(format!(
            "it is not registered under subject `{subject}`; register it with the command `schemas register`"
        )));
    }
    match registry.register(subject, schema).await {
        Ok(id) => Ok(id),
        // Also what the check does not see, e.g. a rule about all versions.
        Err(RegistryError::Incompatible { message, .. }) => {
            let checked = Compatibility {
                compatible: false,
                messages: vec![message],
            };
            Err(incompatible(registry, subject, schema, checked).await)
        }
        Err(error) => Err(error.into()),
    }
}

/// The id it has; `None`: it may be registered.
async fn known(
    registry: &Registry,
    subject: &str,
    schema: &NewSchema,
) -> Result<Option<u32>, SettleError> {
    if let Some(found) = registry.lookup(subject, schema).await? {
        return Ok(Some(found.id));
    }
    let checked = registry.check(subject, schema).await?;
    if checked.compatible {
        return Ok(None);
    }
    Err(incompatible(registry, subject, schema, checked).await)
}

async fn use_latest(
    registry: &Registry,
    subject: &str,
    schema: &NewSchema,
) -> Result<u32, SettleError> {
    let Some(latest) = registry.latest(subject).await? else {
        return Err(SettleError::Mistake(format!(
            "subject `{subject}` has no version to use; register one first"
        )));
    };
    let version = latest.version;
    if latest.kind != schema.kind {
        return Err(SettleError::Mistake(format!(
            "version {version} of subject `{subject}` is a schema of {}, not {}",
            latest.kind, schema.kind
        )));
    }
    let usable = match schema.kind {
        // Bytes of Avro are nothing without the schema they were written with.
        SchemaKind::Avro => same_bytes(&latest.text, &schema.text),
        // JSON says itself what it is.
        _ => registry.check(subject, schema).await?.compatible,
    };
    if usable {
        return Ok(latest.id);
    }
    Err(SettleError::Mistake(format!(
        "values would not be as version {version} of subject `{subject}` says: {}",
        said(&latest, schema, &[])
    )))
}

async fn incompatible(
    registry: &Registry,
    subject: &str,
    schema: &NewSchema,
    checked: Compatibility,
) -> SettleError {
    match registry.latest(subject).await {
        Ok(Some(latest)) => SettleError::Mistake(format!(
            "it is not compatible with version {} of subject `{subject}`: {}",
            latest.version,
            said(&latest, schema, &checked.messages)
        )),
        // The refusal stands, whatever keeps the registry from saying more.
        Ok(None) | Err(_) => SettleError::Mistake(format!(
            "it is not compatible with subject `{subject}`: {}",
            checked.messages.join("; ")
        )),
    }
}

/// Our own words first: they name fields as the program does.
fn said(latest: &SubjectVersion, schema: &NewSchema, messages: &[String]) -> String {
    let found = differences(&latest.text, &schema.text).join("; ");
    let registry = messages.join("; ");
    match (found.is_empty(), registry.is_empty()) {
        (false, false) => format!("{found} (the registry says: {registry})"),
        (true, false) => format!("the registry says: {registry}"),
        (false, true) => found,
        (true, true) => "they differ in names or order".to_owned(),
    }
}

/// Whether values of two Avro schemas are the same bytes.
fn same_bytes(one: &str, two: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).map(|schema| shape(&schema));
    match (read(one), read(two)) {
        (Ok(one), Ok(two)) => one == two,
        _ => false,
    }
}

/// A schema without what only readers and people need; names without their namespaces.
fn shape(schema: &Value) -> Value {
    match schema {
        Value::String(name) => last(name).into(),
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| {
                !["doc", "aliases", "default", "namespace", "order"].contains(&key.as_str())
            });
            let kept: serde_json::Map<String, Value> = kept
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        // Not names of types.
                        "symbols" | "size" | "precision" | "scale" => value.clone(),
                        _ => shape(value),
                    };
                    (key.clone(), value)
                })
                .collect();
            match kept.get("type") {
                Some(alone) if kept.len() == 1 => alone.clone(),
                _ => Value::Object(kept),
            }
        }
        other => other.clone(),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::super::EmbeddedRegistry;
    use super::*;

    const SUBJECT: &str = "orders-value";

    fn order(fields: &str) -> NewSchema {
        NewSchema::avro(format!(
            r#"{{"type": "record", "name": "Order", "fields": [{fields}]}}"#
        ))
    }

    fn old() -> NewSchema {
        order(r#"{"name": "id", "type": "int"}"#)
    }

    fn new() -> NewSchema {
        order(r#"{"name": "id", "type": "int"}, {"name": "note", "type": "string"}"#)
    }

    fn mistake<T: std::fmt::Debug>(result: Result<T, SettleError>) -> String {
        match result {
            Err(SettleError::Mistake(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_schema_is_registered_once_and_then_found() {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        let settled = |mode| {
            let registry = registry.clone();
            async move { settle(&registry, SUBJECT, &old(), mode).await }
        };
        let error = mistake(settled(SchemaMode::CheckOnly).await);
        assert!(error.contains("`schemas register`"), "{error}");
        assert!(registry.versions(SUBJECT).await.unwrap().is_empty());
        let id = settled(SchemaMode::AutoRegister).await.unwrap();
        for mode in [
            SchemaMode::AutoRegister,
            SchemaMode::CheckOnly,
            SchemaMode::UseLatest,
        ] {
            assert_eq!(settled(mode).await.unwrap(), id, "{mode:?}");
        }
        assert_eq!(registry.versions(SUBJECT).await.unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_incompatible_change_names_the_field_and_what_the_registry_says() {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        registry.register(SUBJECT, &old()).await.unwrap();
        embedded.find_incompatible(SUBJECT, Some("READER_FIELD_MISSING_DEFAULT_VALUE"));
        for mode in [SchemaMode::AutoRegister, SchemaMode::CheckOnly] {
            let error = mistake(settle(&registry, SUBJECT, &new(), mode).await);
            assert_eq!(
                error,
                "it is not compatible with version 1 of subject `orders-value`: field `note` is new and has no \
                 default (the registry says: READER_FIELD_MISSING_DEFAULT_VALUE)"
            );
        }
        assert_eq!(registry.versions(SUBJECT).await.unwrap(), [1]);
        embedded.find_incompatible(SUBJECT, None);
        assert!(
            settle(&registry, SUBJECT, &new(), SchemaMode::AutoRegister)
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_version_is_used_only_where_bytes_are_the_same() {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        let latest = SchemaMode::UseLatest;
        let error = mistake(settle(&registry, SUBJECT, &old(), latest).await);
        assert!(error.contains("has no version to use"), "{error}");
        let described = NewSchema::avro(
            r#"{"type": "record", "name": "shop.Order", "doc": "d", "fields":
                [{"name": "id", "type": {"type": "int"}, "default": 0}]}"#,
        );
        let id = registry.register(SUBJECT, &described).await.unwrap();
        assert_eq!(
            settle(&registry, SUBJECT, &old(), latest).await.unwrap(),
            id
        );
        let error = mistake(settle(&registry, SUBJECT, &new(), latest).await);
        assert!(error.contains("field `note` is new"), "{error}");
        let json = NewSchema::json(r#"{"type": "object"}"#);
        let error = mistake(settle(&registry, SUBJECT, &json, latest).await);
        assert!(error.contains("is a schema of AVRO, not JSON"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_fails_is_no_mistake_of_the_schema() {
        let embedded = EmbeddedRegistry::new();
        embedded.fail(503);
        let failed = settle(&embedded.registry(), SUBJECT, &old(), SchemaMode::default()).await;
        assert!(
            matches!(failed, Err(SettleError::Registry(_))),
            "{failed:?}"
        );
        embedded.heal();
        let broken = settle(
            &embedded.registry(),
            SUBJECT,
            &NewSchema::avro("{"),
            SchemaMode::default(),
        )
        .await;
        assert!(mistake(broken).contains("Invalid schema"));
    }

    #[test]
    fn what_only_readers_need_changes_no_bytes() {
        let enumeration = r#"{"type": "enum", "name": "a.Color", "symbols": ["a.b", "c"]}"#;
        assert!(!same_bytes(enumeration, &enumeration.replace("a.b", "b")));
        assert!(same_bytes(
            enumeration,
            &enumeration.replace("a.Color", "Color")
        ));
        assert!(!same_bytes(r#"["null", "int"]"#, r#"["int", "null"]"#));
        assert!(!same_bytes("{", "{"));
    }
}
