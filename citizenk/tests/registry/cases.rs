//! What every registry does.

use citizenk::registry::{NewSchema, Registry, RegistryError, SchemaKind, SchemaMode};
use serde_json::Value;

use super::World;

const ID: &str = r#"{"name":"id","type":"int"}"#;
const ID_AND_NOTE: &str = r#"{"name":"id","type":"int"},{"name":"note","type":"string"}"#;
const ID_AND_OPTIONAL_NOTE: &str =
    r#"{"name":"id","type":"int"},{"name":"note","type":"string","default":""}"#;

/// Texts of one schema may differ in blanks and order.
fn same(one: &str, two: &str) {
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(read(one), read(two));
}

pub(crate) async fn a_schema_gets_an_id_and_is_found_by_it(world: World) {
    let text = world.record(ID);
    let subject = world.subject("value");
    let id = world
        .registry
        .register(&subject, &NewSchema::avro(&text))
        .await
        .unwrap();
    let fetched = world.registry.fetch(id).await.unwrap();
    assert_eq!((fetched.id(), fetched.kind()), (id, SchemaKind::Avro));
    assert!(fetched.references().is_empty());
    same(fetched.text(), &text);
}

pub(crate) async fn the_same_schema_is_registered_once(world: World) {
    let schema = NewSchema::avro(world.record(ID));
    let subject = world.subject("value");
    let first = world.registry.register(&subject, &schema).await.unwrap();
    let again = world.registry.register(&subject, &schema).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(world.registry.versions(&subject).await.unwrap(), [1]);
}

pub(crate) async fn one_schema_has_one_id_in_all_subjects(world: World) {
    let schema = NewSchema::avro(world.record(ID));
    let one = world
        .registry
        .register(&world.subject("one"), &schema)
        .await
        .unwrap();
    let two = world
        .registry
        .register(&world.subject("two"), &schema)
        .await
        .unwrap();
    assert_eq!(one, two);
}

pub(crate) async fn versions_are_counted_within_a_subject(world: World) {
    let subject = world.subject("value");
    let first = NewSchema::avro(world.record(ID));
    let second = NewSchema::avro(world.record(ID_AND_OPTIONAL_NOTE));
    let registry = &world.registry;
    let first_id = registry.register(&subject, &first).await.unwrap();
    let second_id = registry.register(&subject, &second).await.unwrap();
    assert_ne!(first_id, second_id);
    assert_eq!(registry.versions(&subject).await.unwrap(), [1, 2]);
    let latest = registry.latest(&subject).await.unwrap().unwrap();
    assert_eq!((latest.version, latest.id), (2, second_id));
    assert_eq!(
        (latest.subject.as_str(), latest.kind),
        (subject.as_str(), SchemaKind::Avro)
    );
    same(&latest.text, second.text());
    let old = registry.version(&subject, 1).await.unwrap().unwrap();
    assert_eq!((old.version, old.id), (1, first_id));
    same(&old.text, first.text());
}

pub(crate) async fn what_is_not_there_is_said(world: World) {
    let (registry, subject) = (&world.registry, world.subject("value"));
    let schema = NewSchema::avro(world.record(ID));
    assert_eq!(registry.latest(&subject).await.unwrap(), None);
    assert_eq!(registry.version(&subject, 1).await.unwrap(), None);
    assert_eq!(registry.lookup(&subject, &schema).await.unwrap(), None);
    assert!(registry.versions(&subject).await.unwrap().is_empty());
    let error = registry.fetch(1_999_999_999).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert!(
        error.to_string().contains("schema id 1999999999"),
        "{error}"
    );
    registry.register(&subject, &schema).await.unwrap();
    assert_eq!(registry.version(&subject, 7).await.unwrap(), None);
    let other = NewSchema::avro(world.record(ID_AND_NOTE));
    assert_eq!(registry.lookup(&subject, &other).await.unwrap(), None);
}

pub(crate) async fn a_schema_is_looked_up_by_its_content(world: World) {
    let (registry, subject) = (&world.registry, world.subject("value"));
    let first = NewSchema::avro(world.record(ID));
    let id = registry.register(&subject, &first).await.unwrap();
    let second = NewSchema::avro(world.record(ID_AND_OPTIONAL_NOTE));
    registry.register(&subject, &second).await.unwrap();
    let found = registry.lookup(&subject, &first).await.unwrap().unwrap();
    assert_eq!((found.id, found.version, found.subject), (id, 1, subject));
}

pub(crate) async fn json_schemas_are_kept_as_such(world: World) {
    let subject = world.subject("value");
    let text = format!(
        r#"{{"$schema":"http://json-schema.org/draft-07/schema#","title":"{}","type":"object","properties":{{"id":{{"type":"integer"}}}}}}"#,
        world.run
    );
    let schema = NewSchema::json(&text);
    let id = world.registry.register(&subject, &schema).await.unwrap();
    let fetched = world.registry.fetch(id).await.unwrap();
    assert_eq!(fetched.kind(), SchemaKind::Json);
    same(fetched.text(), &text);
    let found = world
        .registry
        .lookup(&subject, &schema)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.id, found.kind), (id, SchemaKind::Json));
    let latest = world.registry.latest(&subject).await.unwrap().unwrap();
    assert_eq!(latest.kind, SchemaKind::Json);
}

pub(crate) async fn references_are_kept_and_come_with_the_schema(world: World) {
    let registry = &world.registry;
    let inner = world.record(ID);
    let name = serde_json::from_str::<Value>(&inner).unwrap()["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let inner_subject = world.subject("inner");
    registry
        .register(&inner_subject, &NewSchema::avro(&inner))
        .await
        .unwrap();
    let outer = format!(
        r#"{{"type":"record","name":"Outer_{name}","fields":[{{"name":"inner","type":"{name}"}}]}}"#
    );
    let outer_subject = world.subject("outer");
    let outer = NewSchema::avro(outer).reference(&name, &inner_subject, 1);
    let id = registry.register(&outer_subject, &outer).await.unwrap();
    let fetched = registry.fetch(id).await.unwrap();
    let [reference] = fetched.references() else {
        panic!("{:?}", fetched.references());
    };
    assert_eq!(
        (&reference.name, &reference.subject, reference.version),
        (&name, &inner_subject, 1)
    );
    same(&reference.text, &inner);
    let latest = registry.latest(&outer_subject).await.unwrap().unwrap();
    assert_eq!(latest.references.len(), 1);
    let found = registry
        .lookup(&outer_subject, &outer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.id, id);
}

pub(crate) async fn what_is_no_schema_is_refused(world: World) {
    for text in ["{", "7"] {
        let error = world
            .registry
            .register(&world.subject("value"), &NewSchema::avro(text))
            .await
            .unwrap_err();
        assert!(
            matches!(error, RegistryError::Invalid { .. }),
            "{text}: {error}"
        );
    }
}

pub(crate) async fn a_reference_to_nothing_is_refused(world: World) {
    let schema = NewSchema::avro(world.record(r#"{"name":"inner","type":"Missing"}"#));
    let schema = schema.reference("Missing", world.subject("missing"), 1);
    let refused = world
        .registry
        .register(&world.subject("value"), &schema)
        .await;
    let error = refused.unwrap_err();
    assert!(!error.is_retriable(), "{error}");
}

pub(crate) async fn subjects_may_have_any_name(world: World) {
    for name in ["a.b_c-value", "a b", "ü", "a:b", "a%2Fb"] {
        let subject = world.subject(name);
        let schema = NewSchema::avro(world.record(ID));
        let id = world.registry.register(&subject, &schema).await.unwrap();
        let latest = world.registry.latest(&subject).await.unwrap().unwrap();
        assert_eq!((latest.id, latest.subject), (id, subject));
    }
}

pub(crate) async fn subjects_are_listed(world: World) {
    let subject = world.subject("value");
    let before = world.registry.subjects().await.unwrap();
    assert!(!before.contains(&subject));
    let schema = NewSchema::avro(world.record(ID));
    world.registry.register(&subject, &schema).await.unwrap();
    assert!(world.registry.subjects().await.unwrap().contains(&subject));
}

pub(crate) async fn an_incompatible_schema_is_refused_with_the_field(world: World) {
    let (registry, subject) = (&world.registry, world.subject("value"));
    registry
        .register(&subject, &NewSchema::avro(world.record(ID)))
        .await
        .unwrap();
    if !world.has_rules(&subject).await {
        return;
    }
    let rule = registry.compatibility_rule(Some(&subject)).await.unwrap();
    assert_eq!(rule.as_deref(), Some("BACKWARD"));
    let new = NewSchema::avro(world.record(ID_AND_NOTE));
    let checked = registry.check(&subject, &new).await.unwrap();
    // Not every registry says why when it is only asked.
    assert!(!checked.compatible);
    let error = registry.register(&subject, &new).await.unwrap_err();
    assert!(
        matches!(error, RegistryError::Incompatible { .. }),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains(&subject) && said.contains("note"), "{said}");
    let error = registry
        .settle(&subject, &new, SchemaMode::AutoRegister)
        .await
        .unwrap_err();
    let expected = format!(
        "it is not compatible with version 1 of subject `{subject}`: field `note` is new and has no default"
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(registry.versions(&subject).await.unwrap(), [1]);
}

pub(crate) async fn an_incompatible_json_schema_is_refused(world: World) {
    let (registry, subject) = (&world.registry, world.subject("value"));
    let schema = |kind: &str| {
        NewSchema::json(format!(
            r#"{{"$schema":"http://json-schema.org/draft-07/schema#","title":"{}","type":"object","properties":{{"id":{{"type":"{kind}"}}}},"additionalProperties":false}}"#,
            world.run
        ))
    };
    registry
        .register(&subject, &schema("integer"))
        .await
        .unwrap();
    if !world.has_rules(&subject).await {
        return;
    }
    let checked = registry.check(&subject, &schema("string")).await.unwrap();
    assert!(!checked.compatible);
    let error = registry
        .register(&subject, &schema("string"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::Incompatible { .. }),
        "{error}"
    );
}

pub(crate) async fn a_compatible_schema_becomes_the_next_version(world: World) {
    let (registry, subject) = (&world.registry, world.subject("value"));
    registry
        .register(&subject, &NewSchema::avro(world.record(ID)))
        .await
        .unwrap();
    world.has_rules(&subject).await;
    let new = NewSchema::avro(world.record(ID_AND_OPTIONAL_NOTE));
    let checked = registry.check(&subject, &new).await.unwrap();
    assert!(checked.compatible, "{:?}", checked.messages);
    // A check registers nothing.
    assert_eq!(registry.versions(&subject).await.unwrap(), [1]);
    registry.register(&subject, &new).await.unwrap();
    assert_eq!(registry.versions(&subject).await.unwrap(), [1, 2]);
}

pub(crate) async fn nothing_stands_against_the_first_schema(world: World) {
    let schema = NewSchema::avro(world.record(ID));
    let checked = world
        .registry
        .check(&world.subject("value"), &schema)
        .await
        .unwrap();
    assert!(checked.compatible, "{:?}", checked.messages);
}

pub(crate) async fn another_path_is_no_registry(world: World) {
    let registry = Registry::builder(&format!("{}/elsewhere", world.url))
        .build()
        .unwrap();
    let error = registry.latest(&world.subject("value")).await.unwrap_err();
    assert!(!error.is_unknown(), "{error}");
}

pub(crate) async fn ids_are_fetched_once(world: World) {
    let schema = NewSchema::avro(world.record(ID));
    let registry = &world.registry;
    let id = registry
        .register(&world.subject("value"), &schema)
        .await
        .unwrap();
    registry.fetch(id).await.unwrap();
    let before = registry.requests();
    for _ in 0..100 {
        registry.fetch(id).await.unwrap();
        assert!(registry.cached(id).is_some());
    }
    assert_eq!(registry.requests(), before);
}
