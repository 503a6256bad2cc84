//! `schemas`: what the app's topics are written with, printed, checked against registries, registered there.

use clap::{Args, Subcommand};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::super::{App, overrides};
use super::list::write;
use crate::config::{Flags, Settings};
use crate::error::RunError;
use crate::topic::describe::TopicInfo;

/// What `schemas` takes.
#[derive(Debug, Args)]
pub struct SchemasArgs {
    #[command(subcommand)]
    pub(super) what: What,
}

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// Print the schemas of all topics as JSON: Avro where values are Avro, else JSON Schema
    Print(Flagged),
    /// Compare the schemas of what the app writes with the registries, and register nothing
    Check(Flagged),
    /// Register the schemas of what the app writes
    Register(Flagged),
    /// Print the Rust types of an Avro schema
    Codegen(CodegenArgs),
}

#[derive(Debug, Args)]
pub(super) struct CodegenArgs {
    /// The schema, e.g. `ride.avsc`
    file: std::path::PathBuf,
}

/// The types' source, for a file of its own.
#[cfg(feature = "avro")]
pub(super) fn codegen(args: &CodegenArgs) -> Result<(), RunError> {
    let path = args.file.display();
    let wrong = |message: String| crate::error::ConfigError::new(format!("file {path}"), message);
    let schema = std::fs::read_to_string(&args.file).map_err(|error| wrong(error.to_string()))?;
    write(&crate::schema::avro::rust_source(&schema).map_err(wrong)?)
}

#[cfg(not(feature = "avro"))]
pub(super) fn codegen(_: &CodegenArgs) -> Result<(), RunError> {
    Err(crate::error::ConfigError::new(
        "schemas codegen",
        "there is no Avro in this program; build it with citizenk's feature `avro`",
    )
    .into())
}

#[derive(Debug, Args)]
pub(super) struct Flagged {
    #[command(flatten)]
    pub(super) flags: Flags,
}

/// One entry per schema. Unmanaged bytes have none.
pub(super) fn print(app: &App, settings: &Settings) -> Result<(), RunError> {
    write(&format!("{:#}\n", printed(app, settings)?))
}

fn printed(app: &App, settings: &Settings) -> Result<Value, RunError> {
    let assembled = app.assembled(&overrides(settings))?;
    let mut entries = Vec::new();
    for topic in assembled.topics.values() {
        let real = settings.real_topic(topic.name);
        // Checked when the app was assembled.
        let own = topic.own_schemas(&real).unwrap_or_default();
        if !topic.takes_latest()
            && !own.iter().any(|own| own.side == crate::schema::Side::Value)
            && let Some(schema) = plain(topic)
        {
            entries.push(json!({
                "topic": topic.name, "side": "value", "type": "JSON", "schema": schema,
            }));
        }
        entries.extend(own.iter().map(|own| {
            let schema: Value = serde_json::from_str(&own.schema.text).unwrap_or_default();
            json!({
                "topic": topic.name, "side": own.side.name(), "type": own.schema.kind.name(), "schema": schema,
            })
        }));
    }
    Ok(entries.into())
}

/// The JSON Schema of values whose bytes name none.
fn plain(topic: &TopicInfo) -> Option<Value> {
    if topic.codec == <crate::codec::Raw as crate::codec::Codec>::NAME || topic.internal {
        return None;
    }
    let mut generator = SchemaSettings::draft07().into_generator();
    let mut schema = topic.value_schema(&mut generator).to_value();
    let definitions = generator.take_definitions(true);
    if let (Some(object), false) = (schema.as_object_mut(), definitions.is_empty()) {
        object.insert("definitions".to_owned(), definitions.into());
    }
    Some(schema)
}

#[cfg(not(feature = "registry"))]
pub(super) async fn compare(_: &App, _: &Settings, _: bool) -> Result<(), RunError> {
    Err(crate::error::ConfigError::new(
        "schemas",
        "there is no client of registries in this program; build it with citizenk's feature `registry`",
    )
    .into())
}

/// Says of each schema what the registry has; `register` puts in what is missing. Everything is looked at; then the
/// first kind of trouble is what the command ends with.
#[cfg(feature = "registry")]
pub(super) async fn compare(
    app: &App,
    settings: &Settings,
    register: bool,
) -> Result<(), RunError> {
    use super::super::registries::{Writes, with};
    use crate::config::Broker;
    use crate::error::{BuildError, BuildIssue};
    use crate::registry::SettleError;
    use crate::schema::SchemaMode;

    let overrides = overrides(settings);
    let assembled = app.assembled(&overrides)?;
    let entries = with::entries(app, settings, &overrides, &assembled, Writes::App)?;
    let written: Vec<_> = entries.iter().filter(|entry| entry.written).collect();
    if written.is_empty() {
        return write("the app writes no topic whose schemas stand in a registry\n");
    }
    let topics: Vec<&TopicInfo> = written.iter().map(|entry| entry.topic).collect();
    let embedded = settings.broker.value == Broker::Embedded;
    let sources = with::sources(app, settings, &topics, embedded)?;
    let mut issues = Vec::new();
    let mut failed = None;
    for entry in written {
        let Some(source) = sources.get(entry.registry) else {
            continue;
        };
        let registry = &source.registry;
        let found = if register && entry.mode != SchemaMode::UseLatest {
            let settled = registry.settle(&entry.subject, &entry.schema, SchemaMode::AutoRegister);
            settled.await.map(Some)
        } else {
            registry
                .look(&entry.subject, &entry.schema, entry.mode)
                .await
        };
        let said = match &found {
            Ok(Some(id)) => format!("id {id}"),
            Ok(None) => "new and compatible".to_owned(),
            Err(error) => format!("error: {error}"),
        };
        write(&format!("{}: {said}\n", entry.subject))?;
        match found {
            Ok(_) => {}
            Err(SettleError::Mistake(message)) => {
                let message = format!("the schema of its {}s: {message}", entry.own.side.name());
                issues.push(BuildIssue::new(
                    format!("topic `{}`", entry.topic.name),
                    message,
                ));
            }
            Err(SettleError::Registry(error)) => {
                failed.get_or_insert(RunError::Startup {
                    component: format!("schema registry `{}`", entry.registry),
                    reason: error.to_string(),
                });
            }
        }
    }
    match (BuildError::from_issues(issues), failed) {
        (Some(error), _) => Err(error.into()),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(()),
    }
}

#[cfg(all(test, feature = "registry"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::prelude::*;
    use crate::registry::{EmbeddedRegistry, NewSchema};
    use crate::schema::SchemaMode;
    use crate::testing::block_on;

    const ORDERS: Topic<u32, u32> = Topic::json("orders");
    const PAID: Topic<u32, u32> = Topic::<u32, u32>::json_schema("paid").key_json_schema();
    const STRICT: Topic<u32, u32> =
        Topic::<u32, u32>::json_schema("strict").schema_mode(SchemaMode::CheckOnly);
    const BYTES: Topic<RawBytes> = Topic::raw("bytes");

    fn app(embedded: &EmbeddedRegistry) -> App {
        App::new("shop")
            .topic(&ORDERS)
            .topic(&PAID)
            .topic(&STRICT)
            .topic(&BYTES)
            .registry("default", embedded.registry())
    }

    fn settings() -> Settings {
        let flags = Flags {
            offline: true,
            ..Flags::default()
        };
        Settings::resolve(flags, &Default::default(), None).unwrap()
    }

    #[test]
    fn schemas_of_keys_and_values_are_printed() {
        let printed = printed(&app(&EmbeddedRegistry::new()), &settings()).unwrap();
        let entries = printed.as_array().unwrap();
        let names: Vec<String> = entries
            .iter()
            .map(|entry| {
                assert_eq!(entry["schema"]["type"], "integer", "{entry}");
                format!("{} {} {}", entry["topic"], entry["side"], entry["type"]).replace('"', "")
            })
            .collect();
        assert_eq!(
            names,
            [
                "orders value JSON",
                "paid value JSON",
                "paid key JSON",
                "strict value JSON"
            ]
        );
    }

    #[test]
    fn a_check_registers_nothing_and_a_registration_lets_it_pass() {
        block_on(async {
            let embedded = EmbeddedRegistry::new();
            let (app, settings) = (app(&embedded), settings());
            let error = compare(&app, &settings, false).await.unwrap_err();
            assert!(matches!(error, RunError::Build(_)), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("topic `strict`") && text.contains("schemas register"),
                "{text}"
            );
            assert!(embedded.registry().subjects().await.unwrap().is_empty());
            compare(&app, &settings, true).await.unwrap();
            assert_eq!(
                embedded.registry().subjects().await.unwrap(),
                ["paid-key", "paid-value", "strict-value"]
            );
            compare(&app, &settings, false).await.unwrap();
        });
    }

    #[test]
    fn what_is_not_compatible_fails_the_check_with_its_field() {
        block_on(async {
            let embedded = EmbeddedRegistry::new();
            let old = NewSchema::json(r#"{"type": "string"}"#);
            embedded
                .registry()
                .register("paid-value", &old)
                .await
                .unwrap();
            embedded.find_incompatible("paid-value", Some("TYPE_CHANGED"));
            let error = compare(&app(&embedded), &settings(), false)
                .await
                .unwrap_err();
            assert!(
                error.to_string().contains("`string` became `integer`"),
                "{error}"
            );
            embedded.fail(503);
            let error = compare(&app(&embedded), &settings(), false)
                .await
                .unwrap_err();
            assert!(matches!(error, RunError::Startup { .. }), "{error}");
        });
    }
}
