//! The documented examples, and everything that can be wrong.

use super::*;
use crate::issue::Issue;

const TEMPLATE: &str = include_str!("../../fixtures/mappings.json");
const FILE: &str = include_str!("../../fixtures/mapping_file.json");

fn template(name: &str) -> Option<String> {
    (name == "name").then(|| TEMPLATE.to_owned())
}

fn said(issues: &[Issue]) -> Vec<String> {
    issues.iter().map(ToString::to_string).collect()
}

#[test]
fn the_documented_files_load_as_they_are() {
    let loaded = load("mappings.json", FILE, &template);
    assert!(loaded.is_valid(), "{:?}", said(&loaded.issues));
    let running: Vec<_> = loaded
        .mappings
        .iter()
        .map(|e| (e.mapping.name.as_str(), e.mapping.enabled))
        .collect();
    assert_eq!(
        running,
        [
            ("File A to B", true),
            ("Topic B to C", true),
            ("Topic C to D Using filter", true),
            ("TopicCtoD", false),
            ("Topic D to File E", true),
            ("Disabled Topic U to File V", false),
        ]
    );
    let chain: Vec<_> = loaded
        .mappings
        .iter()
        .flat_map(|e| e.mapping.pairs())
        .map(|p| (p.source, p.target))
        .collect();
    assert_eq!(
        chain,
        [
            ("A", "B"),
            ("B", "C"),
            ("C", "D"),
            ("C", "D"),
            ("D", "E"),
            ("U", "V")
        ]
    );
    assert!(loaded.mappings[0].mapping.source_is_file && loaded.mappings[4].mapping.target_is_file);
    assert_eq!(loaded.mappings[3].mapping.service_group(), Some("service"));
    assert_eq!(
        loaded.mappings[2].origin,
        Origin::Template {
            template: "name".into(),
            entry: 0
        }
    );
    assert_eq!(
        said(&loaded.issues),
        ["mappings.json: `templates`: template `name` has no variable `A`"]
    );
    assert_eq!(loaded.file.comment, "no comment");
    // Written and read again it is the same.
    let again = load("mappings.json", &loaded.file.text(), &template);
    assert_eq!((again.mappings, again.file), (loaded.mappings, loaded.file));
}

#[test]
fn a_list_is_a_file_and_its_variables_are_a_mistake() {
    let loaded = load(
        "m.json",
        r#"[{"name":"a","source_topic_name":"x","target_topic_name":"y","later":[1]},]"#,
        &template,
    );
    assert_eq!(
        said(&loaded.issues),
        ["m.json: line 1, column 74: a comma behind the last item is no JSON"]
    );
    assert!(loaded.file.text().contains("\"later\""));
    let loaded = load("m.json", TEMPLATE, &template);
    assert!(said(&loaded.issues)[0].starts_with(
        "m.json: line 2, column 5: mapping `File A to B`: `target_topic_name`: `{{..}}` is for templates only"
    ));
}

fn one(fields: &str) -> String {
    format!(
        "{{\"mappings\":[\n  {{\"name\":\"a\",\"source_topic_name\":\"x\",\"target_topic_name\":\"y\"{fields}}}\n]}}"
    )
}

#[test]
fn mistakes_are_named_with_their_place() {
    let again = r#"},{"name":"a","source_topic_name":"x","target_topic_name":"z""#;
    for (text, part) in [
        (
            "{\n  \"mappings\": [\n    {\"name\" 1}\n  ]}".to_owned(),
            "m.json: line 3, column 13: expected `:`",
        ),
        ("{".to_owned(), "line 1, column 1: EOF"),
        ("7".to_owned(), "line 1, column 1: invalid type"),
        (
            r#"{"mappings":[{"source_topic_name":"x"}]}"#.to_owned(),
            "column 38: missing field `name`",
        ),
        (
            one(r#","enabled":"yes""#),
            "line 2, column 77: invalid type: string",
        ),
        (
            one(r#","valid_jmespath":"key ==""#),
            "`valid_jmespath`: line 1, column 7",
        ),
        (
            one(r#","valid_jmespath":"foo(key)""#),
            "there is no function `foo`",
        ),
        (
            one(again),
            "mapping `a`: the name is taken already in m.json",
        ),
        (one(r#","sample_percent":101"#), "101 is above 100"),
        (
            one(r#","source_is_file":true,"topics":[{"source":"../x","target":"y"}]"#),
            "`../x` is no file name",
        ),
        (
            one(r#","topics":[{"source":"x y","target":"y"}]"#),
            "`x y` is no topic",
        ),
        (
            one(r#","value_mappings":{"keys":{}}"#),
            "`value_mappings`: value_mappings: `keys`: is unknown",
        ),
        (one(r#","replay":{"speed":-1}"#), "a speed is from 0"),
        (one(r#","replay":{"sped":1}"#), "unknown field `sped`"),
        (
            r#"{"mappings":[{"name":"a"}]}"#.to_owned(),
            "say what is copied",
        ),
        (
            r#"{"mappings":[{"name":"a","source_topic_name":"x"}]}"#.to_owned(),
            "`source_topic_name` needs it",
        ),
        (
            r#"{"templates":[{"template":"none"}]}"#.to_owned(),
            "there is no template `none`",
        ),
        (
            r#"{"templates":[{"template":"../name"}]}"#.to_owned(),
            "there is no template `../name`",
        ),
        (
            r#"{"templates":[{"template":"name"}]}"#.to_owned(),
            "templates/name.json: line 2, column 5: mapping `File A to B`: `target_topic_name`: entry 0 of `templates` has no variable `B`",
        ),
        (
            r#"{"templates":[{"template":"name","vars":{"B":[]}}]}"#.to_owned(),
            "the variable `B` is no text",
        ),
        (
            r#"{"enabled":["a"],"disabled":["a"]}"#.to_owned(),
            "stands in `enabled` and in `disabled`",
        ),
    ] {
        let loaded = load("m.json", &text, &template);
        let said = said(&loaded.issues);
        assert!(!loaded.is_valid(), "{text}");
        assert!(
            said.iter().any(|issue| issue.contains(part)),
            "{part}: {said:#?}"
        );
    }
}

#[test]
fn overrides_reach_every_mapping_and_unknown_names_are_told() {
    let text = one("").replace("\"mappings\"", r#""disabled":["a","gone"],"mappings""#);
    let mut loaded = load("m.json", &text, &template);
    assert!(loaded.is_valid() && !loaded.mappings[0].mapping.enabled);
    assert_eq!(
        said(&loaded.issues),
        ["m.json: `disabled`: there is no mapping `gone`"]
    );
    loaded.file.switch("a", true);
    loaded.file.switch("TopicCtoD", false);
    assert_eq!(
        (loaded.file.enabled.len(), loaded.file.disabled.as_slice()),
        (0, &["gone".to_owned(), "TopicCtoD".into()][..])
    );
    loaded.file.switch("TopicCtoD", true);
    assert_eq!(loaded.file.enabled, ["TopicCtoD"]);
    assert!(
        load("m.json", &loaded.file.text(), &template).mappings[0]
            .mapping
            .enabled
    );
}

#[test]
fn what_arrives_twice_is_warned_of() {
    let text = one(r#"},{"name":"b","topics":[{"source":"x","target":"y"}]"#);
    let loaded = load("m.json", &text, &template);
    assert!(loaded.is_valid());
    assert!(
        said(&loaded.issues)[0].contains("`a` copies `x` to `y` too"),
        "{:?}",
        loaded.issues
    );
    let same = one(r#"},{"name":"a","source_topic_name":"x","target_topic_name":"y""#);
    let loaded = load("m.json", &same, &template);
    assert!(loaded.is_valid() && loaded.mappings.len() == 1 && loaded.issues.len() == 1);
}
