//! Security settings from each source, and what cannot work.

use std::collections::BTreeMap;

use crate::config::{Flags, SecurityFlags, Settings, merge_consumer, merge_producer};

const CANARY: &str = "canary-hunter2";
const PEM: &str = "-----BEGIN X-----\nabc\n-----END X-----\n";

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn flags() -> Flags {
    Flags {
        bootstrap_servers: Some("a:1".to_owned()),
        ..Flags::default()
    }
}

fn resolve(vars: &[(&str, &str)], file: &str) -> Result<Settings, Vec<String>> {
    Settings::resolve(flags(), &env(vars), Some(("c.toml", file)))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn a_variable_counts_for_consumers_and_producers() {
    let settings = resolve(
        &[
            ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
            ("KAFKA_SASL_USERNAME", "alice"),
            ("KAFKA_SASL_PASSWORD", CANARY),
            ("KAFKA_SSL_CA_PEM", &PEM.replace('\n', "\\n")),
            ("KAFKA_CONSUMER_SASL_USERNAME", "carol"),
        ],
        "[kafka]\nsasl.username = 'bob'\nssl.endpoint.identification.algorithm = 'https'",
    )
    .unwrap();
    let (consumer, producer) = (merge_consumer(&settings), merge_producer(&settings));
    for client in [&consumer, &producer] {
        assert_eq!(client["security.protocol"], "SASL_SSL");
        assert_eq!(client["sasl.mechanism"], "SCRAM-SHA-512");
        assert_eq!(client["sasl.password"], CANARY);
        assert_eq!(client["ssl.ca.pem"], PEM);
        assert_eq!(client["ssl.endpoint.identification.algorithm"], "https");
    }
    assert_eq!(consumer["sasl.username"], "carol");
    assert_eq!(producer["sasl.username"], "alice");
    assert!(!format!("{settings:?}{}", settings.printable()).contains(CANARY));
}

#[test]
fn flags_win_and_secrets_have_none() {
    let mut given = flags();
    given.security = SecurityFlags {
        security_protocol: Some("ssl".to_owned()),
        ssl_ca_location: Some("/ca.pem".to_owned()),
        ..SecurityFlags::default()
    };
    assert_eq!(
        format!("{given:?}"),
        r#"Flags{"--bootstrap-servers", "--security-protocol", "--ssl-ca-location"}"#
    );
    let vars = env(&[("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")]);
    let settings = Settings::resolve(given, &vars, None).unwrap();
    assert_eq!(merge_producer(&settings)["security.protocol"], "ssl");
    let text = settings.printable().to_string();
    assert!(
        text.contains("kafka.consumer.ssl.ca.location = /ca.pem (--ssl-ca-location)"),
        "{text}"
    );
}

#[test]
fn what_cannot_work_names_the_key_and_what_to_do() {
    let tls = ("KAFKA_SECURITY_PROTOCOL", "SSL");
    let sasl = ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL");
    let oauth = ("KAFKA_SASL_MECHANISM", "OAUTHBEARER");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("KAFKA_SECURITY_PROTOCOL", "SASL_TLS")],
            "KAFKA_SECURITY_PROTOCOL: unknown protocol `SASL_TLS`; use PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        ),
        (
            &[("KAFKA_SASL_MECHANISM", "PLAIN")],
            "KAFKA_SASL_MECHANISM: has no effect without SASL: set `security.protocol` (KAFKA_SECURITY_PROTOCOL) to \
             SASL_SSL, or to SASL_PLAINTEXT where nobody else can listen; it is not set, which means PLAINTEXT",
        ),
        (
            &[tls, ("KAFKA_SASL_PASSWORD", CANARY)],
            "KAFKA_SASL_PASSWORD: has no effect without SASL",
        ),
        (
            &[tls, ("KAFKA_SASL_PASSWORD", CANARY)],
            "it is SSL (KAFKA_SECURITY_PROTOCOL)",
        ),
        (
            &[sasl],
            "KAFKA_SECURITY_PROTOCOL: SASL_SSL needs a mechanism: set `sasl.mechanism` (KAFKA_SASL_MECHANISM) to PLAIN,",
        ),
        (
            &[sasl, ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-265")],
            "KAFKA_SASL_MECHANISM: unknown mechanism `SCRAM-SHA-265`; use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, \
             OAUTHBEARER; did you mean `SCRAM-SHA-256`?",
        ),
        (
            &[sasl, ("KAFKA_SASL_MECHANISM", "GSSAPI")],
            "KAFKA_SASL_MECHANISM: Kerberos (GSSAPI) is not built in",
        ),
        (
            &[
                sasl,
                ("KAFKA_SASL_MECHANISM", "PLAIN"),
                ("KAFKA_SASL_PASSWORD", CANARY),
            ],
            "KAFKA_SASL_MECHANISM: PLAIN needs a user name: set KAFKA_SASL_USERNAME",
        ),
        (
            &[
                sasl,
                ("KAFKA_SASL_MECHANISM", "PLAIN"),
                ("KAFKA_SASL_USERNAME", "alice"),
            ],
            "PLAIN needs a password: set KAFKA_SASL_PASSWORD, or KAFKA_SASL_PASSWORD_FILE to a file that has it",
        ),
        (
            &[sasl, oauth, ("KAFKA_SASL_PASSWORD", CANARY)],
            "KAFKA_SASL_PASSWORD: OAUTHBEARER has no user name and password",
        ),
        (
            &[
                sasl,
                oauth,
                ("KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", CANARY),
            ],
            "set KAFKA_SASL_OAUTHBEARER_CLIENT_ID and KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL as well",
        ),
        (
            &[
                sasl,
                oauth,
                (
                    "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
                    "http://idp/token",
                ),
            ],
            "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: must begin with `https://`",
        ),
        (
            &[sasl, oauth, ("KAFKA_SASL_OAUTHBEARER_METHOD", "oidc")],
            "KAFKA_SASL_OAUTHBEARER_METHOD: librdkafka is built without curl here",
        ),
        (
            &[("KAFKA_SSL_CA_LOCATION", "/ca.pem")],
            "KAFKA_SSL_CA_LOCATION: has no effect without TLS: set `security.protocol`",
        ),
        (
            &[tls, ("KAFKA_SSL_CERTIFICATE_LOCATION", "/c.pem")],
            "KAFKA_SSL_CERTIFICATE_LOCATION: has no key: set KAFKA_SSL_KEY_LOCATION (a file) or KAFKA_SSL_KEY_PEM",
        ),
        (
            &[tls, ("KAFKA_SSL_KEY_PEM", PEM)],
            "KAFKA_SSL_KEY_PEM: has no certificate: set KAFKA_SSL_CERTIFICATE_LOCATION",
        ),
        (
            &[
                tls,
                ("KAFKA_SSL_CA_PEM", PEM),
                ("KAFKA_SSL_CA_LOCATION", "/ca.pem"),
            ],
            "KAFKA_SSL_CA_PEM: `ssl.ca.location` is given as well (KAFKA_SSL_CA_LOCATION); give one of them",
        ),
        (
            &[tls, ("KAFKA_SSL_CA_PEM", "/ca.pem")],
            "KAFKA_SSL_CA_PEM: is not PEM: it has no line that begins with `-----BEGIN`; for a file use `ssl.ca.location`",
        ),
        (
            &[tls, ("KAFKA_SSL_KEY_PASSWORD", CANARY)],
            "KAFKA_SSL_KEY_PASSWORD: there is no key it could open",
        ),
        (
            &[
                ("KAFKA_SASL_PASSWORD_FILE", "/p"),
                ("KAFKA_SASL_PASSWORD", CANARY),
            ],
            "KAFKA_SASL_PASSWORD_FILE: KAFKA_SASL_PASSWORD is set as well; set one of them",
        ),
    ];
    for (vars, expected) in cases {
        let errors = resolve(vars, "").unwrap_err().join("\n");
        assert!(errors.contains(expected), "{expected}\n{errors}");
        assert!(!errors.contains(CANARY), "{errors}");
        // Once, though both sides have the mistake.
        assert_eq!(errors.matches(expected).count(), 1, "{errors}");
    }
    let from_file = resolve(&[], "[kafka]\nsasl.mechanism = 'PLAIN'").unwrap_err();
    assert!(
        from_file[0].starts_with("kafka.sasl.mechanism (c.toml:2): has no effect without SASL"),
        "{from_file:?}"
    );
}

#[test]
fn tokens_need_somebody_who_gets_them() {
    let vars = [
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ("KAFKA_SASL_MECHANISM", "OAUTHBEARER"),
    ];
    let settings = resolve(&vars, "").unwrap();
    assert!(settings.security.needs_tokens());
    let error = settings
        .security
        .check_tokens(false)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("KAFKA_SASL_MECHANISM: OAUTHBEARER needs tokens and nobody gets them"),
        "{error}"
    );
    assert_eq!(settings.security.check_tokens(true), Ok(()));
    assert!(settings.security.credentials().is_none());
}

#[cfg(feature = "oauth")]
#[test]
fn client_credentials_are_ours_and_not_the_clients() {
    let vars = [
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
        ("KAFKA_SASL_MECHANISM", "OAUTHBEARER"),
        ("KAFKA_SASL_OAUTHBEARER_CLIENT_ID", "billing"),
        ("KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET", CANARY),
        (
            "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL",
            "https://idp/token",
        ),
        ("KAFKA_SASL_OAUTHBEARER_EXTENSIONS", "a=1, b=2"),
    ];
    let settings = resolve(&vars, "").unwrap();
    assert_eq!(settings.security.check_tokens(false), Ok(()));
    let credentials = settings.security.credentials().unwrap();
    assert_eq!(
        (&*credentials.url, &*credentials.id),
        ("https://idp/token", "billing")
    );
    assert_eq!(credentials.secret.expose(), CANARY);
    assert_eq!(credentials.extensions["b"], "2");
    assert!(!format!("{credentials:?}{settings:?}").contains(CANARY));
    assert_eq!(
        merge_consumer(&settings).into_keys().collect::<Vec<_>>(),
        ["sasl.mechanism", "security.protocol"]
    );
}

#[test]
fn a_secret_comes_from_a_file_and_a_file_that_is_missing_is_named() {
    let path = std::env::temp_dir().join(format!("citizenk-secret-{}", std::process::id()));
    std::fs::write(&path, format!("{CANARY}\n")).unwrap();
    let read = |secret: &str, ca: &str| {
        let vars = env(&[
            ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("KAFKA_SASL_MECHANISM", "PLAIN"),
            ("KAFKA_SASL_USERNAME", "alice"),
            ("KAFKA_SASL_PASSWORD_FILE", secret),
            ("KAFKA_SSL_CA_LOCATION", ca),
        ]);
        Settings::from_disk(flags(), &vars)
    };
    let found = read(path.to_str().unwrap(), "/");
    std::fs::remove_file(&path).unwrap();
    let settings = found.unwrap();
    assert_eq!(merge_consumer(&settings)["sasl.password"], CANARY);
    assert!(!settings.printable().to_string().contains(CANARY));
    let errors = read("/no/such/file", "/no/such/ca").unwrap_err();
    assert_eq!(errors[0].key, "KAFKA_SASL_PASSWORD_FILE");
    assert!(
        errors[0]
            .message
            .starts_with("cannot read `/no/such/file`: ")
    );
    assert!(
        errors
            .iter()
            .any(|error| error.key == "KAFKA_SSL_CA_LOCATION"
                && error.message.starts_with("cannot read `/no/such/ca`: "))
    );
}

#[test]
fn the_embedded_broker_takes_no_security() {
    let mut given = flags();
    given.bootstrap_servers = None;
    given.embedded = true;
    let vars = env(&[("KAFKA_SASL_PASSWORD", CANARY), ("KAFKA_SSL_CA_PEM", "x")]);
    let settings = Settings::resolve(given, &vars, None).unwrap();
    assert!(merge_consumer(&settings).is_empty());
    assert_eq!(
        settings.warnings(),
        [
            "the embedded broker has no security: `sasl.password` (KAFKA_SASL_PASSWORD), `ssl.ca.pem` (KAFKA_SSL_CA_PEM) not used"
        ]
    );
}
