//! What a start asks a registry for.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::config::Flags;
use crate::error::BuildError;
use crate::prelude::*;
use crate::registry::{EmbeddedRegistry, NewSchema, RegistryError};
use crate::schema::{SchemaMode, Side, SubjectStrategy};
use crate::testing::block_on;

const ORDERS: Topic<u32, u32> = Topic::json_schema("orders");
const PAID: Topic<u32, u32> = Topic::<u32, u32>::json_schema("paid").key_json_schema();
const SHOWN: Topic<u32, u32> = Topic::json_schema("shown");

fn app(to: &'static Topic<u32, u32>) -> App {
    let agent = crate::Agent::builder::<Event<u32>>("pay")
        .topic(&ORDERS)
        .sends(to)
        .handle(async |_: Event<u32>, _: Outbox| {});
    App::new("shop").agent(agent)
}

fn settings(url: Option<&str>) -> Settings {
    let flags = Flags {
        offline: true,
        schema_registry_url: url.map(str::to_owned),
        ..Flags::default()
    };
    Settings::resolve(flags, &Default::default(), None).unwrap()
}

async fn start(app: &App, settings: &Settings) -> Result<Schemas, RunError> {
    let overrides = crate::app::overrides(settings);
    app.schemas(settings, &overrides, false, Writes::App).await
}

/// The only thing that is wrong.
fn mistake(started: Result<Schemas, RunError>) -> String {
    match started.unwrap_err() {
        RunError::Build(error) => {
            let error: BuildError = error;
            assert_eq!(error.issues().len(), 1, "{error}");
            error.issues()[0].to_string()
        }
        error => panic!("{error}"),
    }
}

#[test]
fn what_is_written_is_registered_and_what_is_read_is_not() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        let app = app(&PAID)
            .topic(&SHOWN.direction(crate::Direction::Output))
            .registry("default", registry.clone());
        let settings = settings(None);
        let schemas = start(&app, &settings).await.unwrap();
        let subjects = registry.subjects().await.unwrap();
        assert_eq!(subjects, ["paid-key", "paid-value", "shown-value"]);
        for (side, id) in [(Side::Key, true), (Side::Value, true)] {
            let wire = schemas.wire(&PAID.side(side));
            let mut bytes = Vec::new();
            let written = crate::schema::json::encode(&7_u32, &mut bytes, wire);
            assert_eq!(written.is_ok(), id, "{side:?}");
            assert_eq!((bytes[0], &bytes[5..]), (0, &b"7"[..]));
        }
        let mut bytes = Vec::new();
        let wire = schemas.wire(&ORDERS.side(Side::Value));
        let unsaid = crate::schema::json::encode(&7_u32, &mut bytes, wire).unwrap_err();
        assert!(unsaid.to_string().contains("`sends`"), "{unsaid}");
        // What somebody registered may be written, too.
        let requests = embedded.requests();
        start(&app, &settings).await.unwrap();
        assert_eq!(embedded.requests() - requests, 4, "one look each");
    });
}

#[test]
fn a_schema_that_does_not_fit_ends_the_start_with_topic_and_field() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        let old = NewSchema::json(r#"{"type": "string"}"#);
        registry.register("shown-value", &old).await.unwrap();
        embedded.find_incompatible("shown-value", Some("TYPE_CHANGED"));
        let app = app(&SHOWN).registry("default", registry);
        let error = mistake(start(&app, &settings(None)).await);
        for part in [
            "topic `shown`",
            "values",
            "`string` became `integer`",
            "TYPE_CHANGED",
        ] {
            assert!(error.contains(part), "{error}");
        }
    });
}

#[test]
fn modes_are_the_topics_or_the_settings() {
    const STRICT: Topic<u32, u32> =
        Topic::<u32, u32>::json_schema("strict").schema_mode(SchemaMode::CheckOnly);
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let app = app(&STRICT).registry("default", embedded.registry());
        let error = mistake(start(&app, &settings(None)).await);
        assert!(
            error.contains("is not registered under subject `strict-value`"),
            "{error}"
        );
        // The settings' mode counts where the topic says none.
        let variables = [
            ("SCHEMA_REGISTRY_URL", "embedded"),
            ("SCHEMA_REGISTRY_MODE", "use_latest"),
        ];
        let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let flags = Flags {
            offline: true,
            ..Flags::default()
        };
        let settings = Settings::resolve(flags, &variables.into_iter().collect(), None).unwrap();
        const LATEST: Topic<u32, u32> = Topic::json_schema("never-registered-by-anybody");
        let error = mistake(start(&self::app(&LATEST), &settings).await);
        assert!(error.contains("has no version to use"), "{error}");
    });
}

#[test]
fn a_subject_by_record_needs_a_name_and_registries_are_told_apart() {
    const NAMELESS: Topic<Vec<u32>, u32> =
        Topic::<Vec<u32>, u32>::json_schema("nameless").subjects(SubjectStrategy::RecordName);
    const ELSEWHERE: Topic<u32, u32> = Topic::<u32, u32>::json_schema("elsewhere").registry("team");
    block_on(async {
        let (one, two) = (EmbeddedRegistry::new(), EmbeddedRegistry::new());
        let named = app(&ELSEWHERE)
            .topic(&NAMELESS)
            .registry("default", one.registry());
        let error = mistake(start(&named, &settings(None)).await);
        assert!(error.contains("SCHEMA_REGISTRY_TEAM_URL"), "{error}");
        let both = named.registry("team", two.registry());
        start(&both, &settings(None)).await.unwrap();
        assert_eq!(
            two.registry().subjects().await.unwrap(),
            ["elsewhere-value"]
        );
        assert_eq!(
            one.registry().subjects().await.unwrap(),
            ["Array_of_uint32"]
        );
    });
}

#[test]
fn a_registry_that_is_down_is_asked_some_times_and_then_named() {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let app = app(&SHOWN).registry("default", embedded.registry());
        embedded.fail_next(3, 503);
        start(&app, &settings(None)).await.unwrap();
        embedded.fail(503);
        let requests = embedded.requests();
        let RunError::Startup { component, reason } =
            start(&app, &settings(None)).await.unwrap_err()
        else {
            panic!("another error");
        };
        assert_eq!(component, "schema registry `default`");
        assert!(reason.contains("503"), "{reason}");
        // Five times for what is written, once for what is only read.
        assert_eq!(embedded.requests() - requests, 6);
        assert!(!RegistryError::Unavailable { tried: vec![] }.is_unknown());
    });
}
