use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde::Deserialize;

use crate::config::{Flags, Settings};
use crate::error::ConfigError;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Mine {
    name: String,
    cameras: u8,
    ratio: f64,
    dry_run: bool,
    tags: Vec<String>,
    ports: Vec<u16>,
    since: Option<DateTime<Utc>>,
    limit: Option<i64>,
    mode: Mode,
    database: Option<Database>,
    weights: HashMap<String, u32>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Fast,
    Safe,
    Slow(u32),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Database {
    url: String,
    #[serde(default)]
    pool_size: u32,
}

fn settings(env: &[(&str, &str)], file: &str) -> Settings {
    let env: BTreeMap<_, _> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let flags = Flags {
        offline: true,
        ..Flags::default()
    };
    let file = (!file.is_empty()).then_some(("mine.toml", file));
    Settings::resolve(flags, &env, file).unwrap()
}

fn app(env: &[(&str, &str)], file: &str) -> Result<Mine, ConfigError> {
    settings(env, file).app()
}

#[test]
fn nothing_set_is_every_default() {
    assert_eq!(app(&[], ""), Ok(Mine::default()));
}

#[test]
fn variables_are_read_as_the_field_wants() {
    let mine = app(
        &[
            ("APP_NAME", "007"),
            ("APP_CAMERAS", " 7 "),
            ("APP_RATIO", "1"),
            ("APP_DRY_RUN", "true"),
            ("APP_TAGS", "a, b"),
            ("APP_PORTS", "80,443"),
            ("APP_SINCE", "2026-01-01T00:00:00Z"),
            ("APP_LIMIT", "-5"),
            ("APP_MODE", "safe"),
            ("APP_DATABASE__URL", "sqlite::memory:"),
            ("APP_DATABASE__POOL_SIZE", "3"),
            ("APP_WEIGHTS__LEFT", "2"),
        ],
        "",
    )
    .unwrap();
    assert_eq!(
        mine,
        Mine {
            name: "007".into(),
            cameras: 7,
            ratio: 1.0,
            dry_run: true,
            tags: vec!["a".into(), "b".into()],
            ports: vec![80, 443],
            since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            limit: Some(-5),
            mode: Mode::Safe,
            database: Some(Database {
                url: "sqlite::memory:".into(),
                pool_size: 3
            }),
            weights: HashMap::from([("left".into(), 2)]),
        }
    );
}

#[cfg(feature = "cli")]
mod with_file {
    use super::*;

    #[test]
    fn the_file_is_read_and_variables_win() {
        let file = r#"
            [app]
            name = "file"
            cameras = 1
            ratio = 2
            tags = ["x", "y"]
            since = 2026-01-01T00:00:00Z
            dry-run = true
            mode = { slow = 3 }
            weights = { left = 1, right = 1 }
            database.url = "from-file"
        "#;
        let env = [
            ("APP_CAMERAS", "2"),
            ("APP_WEIGHTS__LEFT", "9"),
            ("APP_DATABASE__POOL_SIZE", "4"),
            ("APP_NAME", ""),
        ];
        let mine = app(&env, file).unwrap();
        assert_eq!(
            mine,
            Mine {
                name: "file".into(),
                cameras: 2,
                ratio: 2.0,
                dry_run: true,
                tags: vec!["x".into(), "y".into()],
                ports: Vec::new(),
                since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
                limit: None,
                mode: Mode::Slow(3),
                database: Some(Database {
                    url: "from-file".into(),
                    pool_size: 4
                }),
                weights: HashMap::from([("left".into(), 9), ("right".into(), 1)]),
            }
        );
    }

    #[test]
    fn errors_name_the_field_and_never_the_value() {
        for (env, file, key, message) in [
            (
                ("APP_CAMERAS", "hunter2"),
                "",
                "APP_CAMERAS",
                "must be u8, not a text",
            ),
            (
                ("APP_CAMERAS", "256"),
                "",
                "APP_CAMERAS",
                "must be u8; this is an integer outside of that",
            ),
            (
                ("APP_CAMERAS", "-1"),
                "",
                "APP_CAMERAS",
                "must be u8; this is an integer outside of that",
            ),
            (
                ("APP_DRY_RUN", "hunter2"),
                "",
                "APP_DRY_RUN",
                "must be `true` or `false`",
            ),
            (
                ("APP_MODE", "saef"),
                "",
                "APP_MODE",
                "must be one of fast, safe, slow; did you mean `safe`?",
            ),
            (
                ("APP_PORTS", "80,hunter2"),
                "",
                "APP_PORTS",
                "must be u16, not a text",
            ),
            (("APP_SINCE", "soon"), "", "APP_SINCE", ""),
            (
                ("APP_DATABASE__POOL_SIZE", "1"),
                "",
                "app.database.url",
                "is not set; write `url = ..` below `[app.database]` or set APP_DATABASE__URL",
            ),
            (
                ("X", ""),
                "[app]\ncameras = \"hunter2\"",
                "app.cameras (mine.toml:2)",
                "must be u8, not a text",
            ),
            (
                ("X", ""),
                "[app]\ncameras = 300",
                "app.cameras (mine.toml:2)",
                "must be u8; this is an integer outside of that",
            ),
            (
                ("X", ""),
                "[app]\nports = [1,\n\"hunter2\"]",
                "app.ports[1] (mine.toml:3)",
                "must be u16, not a text",
            ),
            (
                ("X", ""),
                "[app]\ncamera = 1",
                "app.camera (mine.toml:2)",
                "unknown key `camera`; did you mean `cameras`?",
            ),
            (
                ("X", ""),
                "[app.database]\nurl = 'x'\nhunter3 = 1",
                "app.database.hunter3 (mine.toml:3)",
                "unknown key `hunter3`; known are url, pool_size",
            ),
            (
                ("X", ""),
                "[app]\nname = {x = 1}",
                "app.name (mine.toml:2)",
                "must be a string, not a table",
            ),
            (
                ("X", ""),
                "[app]\ndatabase = 'hunter2'",
                "app.database (mine.toml:2)",
                "must be struct Database, not a text",
            ),
            (
                ("X", ""),
                "[app.weights]\nleft = 'hunter2'",
                "app.weights.left (mine.toml:2)",
                "must be u32, not a text",
            ),
        ] {
            let error = app(&[env], file).unwrap_err();
            assert_eq!(error.key, key, "{file} {error}");
            assert!(error.message.contains(message), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
struct Strict {
    token: String,
}

#[test]
fn a_missing_field_says_how_to_set_it() {
    let error = settings(&[], "").app::<Strict>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "app.token: is not set; write `token = ..` below `[app]` or set APP_TOKEN"
    );
    let foreign = settings(&[("APP_ENV", "production"), ("APP_TOKEN", "x")], "");
    assert_eq!(foreign.app(), Ok(Strict { token: "x".into() }));
}

proptest! {
    #[test]
    fn numbers_and_texts_survive(name in "[ -~]{0,20}[a-z]", cameras: u8, limit: i64, ratio in -1e9..1e9_f64) {
        let (cameras_text, limit_text, ratio_text) = (cameras.to_string(), limit.to_string(), ratio.to_string());
        let mine = app(&[
            ("APP_NAME", &name), ("APP_CAMERAS", &cameras_text), ("APP_LIMIT", &limit_text), ("APP_RATIO", &ratio_text),
        ], "").unwrap();
        prop_assert_eq!((mine.name, mine.cameras, mine.limit, mine.ratio), (name, cameras, Some(limit), ratio));
    }

    #[test]
    fn no_variable_panics(name in "APP_[A-Z_]{0,20}", value in ".{0,20}") {
        let _ = app(&[(&name, &value)], "");
        let _ = settings(&[(&name, &value)], "").app::<HashMap<String, serde_json::Value>>();
    }
}
