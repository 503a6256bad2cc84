//! Schema registries: names, precedence, what cannot work, no secrets.

use super::*;
use crate::config::{Pem, RegistryAuth, RegistrySettings};

fn resolved(flags: Flags, vars: &[(&str, &str)], file: &str) -> Settings {
    match Settings::resolve(flags, &env(vars), Some(("c.toml", file))) {
        Ok(settings) => settings,
        Err(errors) => panic!("refused: {errors:?}"),
    }
}

fn registry(settings: &Settings, name: &str) -> RegistrySettings {
    settings.registries.get(name).unwrap().clone()
}

const FILE: &str = r#"
[registry]
url = "http://file:8081/apis/, http://other:8081"
username = "ada"
password = "canary-hunter2"
ssl.ca.location = "/no/such/ca.pem"

[registries.source]
url = "https://source:8081"
token = "canary-hunter2"
timeout = "2s"
"#;

#[test]
fn several_registries_have_names() {
    let settings = resolved(offline(), &[], FILE);
    let names: Vec<&str> = settings.registries.names().collect();
    assert_eq!(names, ["default", "source"]);
    let own = registry(&settings, "default");
    assert_eq!(own.urls, ["http://file:8081/apis", "http://other:8081"]);
    let RegistryAuth::Basic { username, password } = own.auth else {
        panic!("{:?}", own.auth);
    };
    assert_eq!(
        (username.as_str(), password.expose()),
        ("ada", "canary-hunter2")
    );
    assert_eq!(own.ca, Some(Pem::File("/no/such/ca.pem".to_owned())));
    assert_eq!(own.timeout, Duration::from_secs(5));
    let source = registry(&settings, "source");
    assert!(matches!(source.auth, RegistryAuth::Bearer(_)));
    assert_eq!(source.timeout, Duration::from_secs(2));
}

#[test]
fn flag_wins_over_environment_and_that_over_the_file() {
    let vars = [
        ("SCHEMA_REGISTRY_URL", "http://env:1"),
        ("SCHEMA_REGISTRY_SOURCE_URL", "http://env:2"),
        ("SCHEMA_REGISTRY_THIRD_URL", "http://env:3"),
        (
            "SCHEMA_REGISTRY_THIRD_SSL_CA_PEM",
            "-----BEGIN X\\n-----END X",
        ),
    ];
    let settings = resolved(offline(), &vars, FILE);
    assert_eq!(registry(&settings, "default").urls, ["http://env:1"]);
    assert_eq!(registry(&settings, "source").urls, ["http://env:2"]);
    let Some(Pem::Text(text)) = registry(&settings, "third").ca else {
        panic!("no text");
    };
    assert_eq!(text.expose(), "-----BEGIN X\n-----END X");
    let flags = Flags {
        schema_registry_url: some("embedded"),
        ..offline()
    };
    let settings = resolved(flags, &vars, FILE);
    assert!(registry(&settings, "default").urls.is_empty());
}

#[test]
fn no_secret_of_a_registry_is_printed() {
    let vars = [
        ("SCHEMA_REGISTRY_SSL_KEY_PASSWORD", "canary-hunter2"),
        ("SCHEMA_REGISTRY_SSL_KEY_PEM", "-----BEGIN canary-hunter2"),
        (
            "SCHEMA_REGISTRY_SSL_CERTIFICATE_PEM",
            "-----BEGIN canary-hunter2",
        ),
    ];
    let settings = resolved(offline(), &vars, FILE);
    let own = registry(&settings, "default");
    let printed = format!(
        "{} {own:?} {:?} {:?}",
        super::secrets::printed(&settings),
        settings.registries,
        registry(&settings, "source"),
    );
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(
        printed.contains("registry.password = *** (c.toml:5)"),
        "{printed}"
    );
    assert!(
        printed.contains("registries.source.url = https://source:8081 (c.toml:9)"),
        "{printed}"
    );
}

#[test]
fn what_cannot_work_is_named() {
    for (vars, file, expected) in [
        (
            vec![("SCHEMA_REGISTRY_URL", "registry:8081")],
            "",
            "SCHEMA_REGISTRY_URL: `registry:8081` is no URL of a schema registry",
        ),
        (
            vec![("SCHEMA_REGISTRY_URL", "http://ada:hunter2@a")],
            "",
            "SCHEMA_REGISTRY_URL: a URL contains `@`; credentials go into",
        ),
        (
            vec![("SCHEMA_REGISTRY_URL", "http://a?x=1")],
            "",
            "has a query or a fragment",
        ),
        (
            vec![("SCHEMA_REGISTRY_USERNAME", "ada")],
            "",
            "SCHEMA_REGISTRY_USERNAME: there is no `registry.url`",
        ),
        (
            vec![
                ("SCHEMA_REGISTRY_URL", "http://a"),
                ("SCHEMA_REGISTRY_USERNAME", "ada"),
            ],
            "",
            "SCHEMA_REGISTRY_USERNAME: needs `registry.password` as well",
        ),
        (
            vec![("SCHEMA_REGISTRY_PASSWORD_FILE", "/x")],
            "",
            "SCHEMA_REGISTRY_PASSWORD_FILE: files are not read here",
        ),
        (
            vec![],
            "[registry]\nurl = 'http://a'\nssl.key.pem = '-----BEGIN X'",
            "registry.ssl.key.pem (c.toml:3): needs the certificate as well",
        ),
        (
            vec![],
            "[registry]\nurl = 'http://a'\nssl.ca.pem = 'x'",
            "registry.ssl.ca.pem (c.toml:3): is no PEM",
        ),
        (
            vec![],
            "[registry]\nurl = 'http://a'\ntimeout = '0s'",
            "registry.timeout (c.toml:3): must be longer than zero",
        ),
        (
            vec![],
            "[registry]\nurl = 'http://a'\ntoken = 'x'\nusername = 'ada'",
            "registry.token (c.toml:3): a name or password is given as well",
        ),
        (
            vec![],
            "[registry]\nurll = 'http://a'",
            "registry.urll (c.toml:2): unknown key; did you mean `url`?",
        ),
        (
            vec![],
            "[registries.Source]\nurl = 'http://a'",
            "`Source` is no name of a registry",
        ),
        (
            vec![],
            "[registries.default]\nurl = 'http://a'",
            "the registry without a name is `[registry]`",
        ),
    ] {
        let errors = errors(offline(), &vars, file).join("\n");
        assert!(errors.contains(expected), "{expected}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn an_unknown_registry_is_named_with_those_there_are() {
    let settings = resolved(offline(), &[], FILE);
    let message = settings.registries.unknown("sorce");
    for part in [
        "`sorce`",
        "did you mean `source`?",
        "default, source",
        "SCHEMA_REGISTRY_SORCE_URL",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let none = resolved(offline(), &[], "").registries.unknown("default");
    assert!(none.contains("SCHEMA_REGISTRY_URL"), "{none}");
}

#[test]
fn variables_of_other_programs_are_left_alone_and_slips_are_named() {
    let vars = [
        ("SCHEMA_REGISTRY_KAFKASTORE_SSL_KEY_PASSWORD", "x"),
        ("SCHEMA_REGISTRY_HOST_NAME", "x"),
        ("SCHEMA_REGISTRY_SERVICE_HOST", "x"),
        ("SCHEMA_REGISTRY_PORT", "x"),
    ];
    let settings = resolved(offline(), &vars, "");
    assert_eq!(settings.registries.names().count(), 0);
    assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
    let settings = resolved(offline(), &[("SCHEMA_REGISTRY_PASWORD", "x")], "");
    assert!(settings.warnings()[0].contains("did you mean SCHEMA_REGISTRY_PASSWORD?"));
}

#[test]
fn credentials_without_tls_are_warned_about() {
    let settings = resolved(offline(), &[], FILE);
    let warnings = settings.warnings().join("\n");
    assert!(
        warnings.contains("credentials are sent to http://file:8081/apis without TLS"),
        "{warnings}"
    );
    let vars = [
        ("SCHEMA_REGISTRY_URL", "http://localhost:8081"),
        ("SCHEMA_REGISTRY_TOKEN", "x"),
    ];
    assert!(resolved(offline(), &vars, "").warnings().is_empty());
}
