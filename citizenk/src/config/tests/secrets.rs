//! The canary: a secret that must never be printed.

use super::*;

const CANARY: &str = "canary-hunter2";

/// Everything that can be printed about these settings.
pub(super) fn printed(settings: &Settings) -> String {
    format!(
        "{settings:?}{settings:#?}{}{:?}{}{:?}{:?}{:?}{:?}",
        settings.printable(),
        settings.printable(),
        serde_json::json!(settings.printable()),
        settings.warnings(),
        settings.http,
        settings.security,
        settings.agents,
    )
}

#[test]
fn no_secret_is_ever_printed() {
    let secret_keys = [
        "sasl.password",
        "sasl.username",
        "sasl.kerberos.keytab",
        "sasl.jaas.config",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.certificate.pem",
        "ssl.ca.pem",
        "ssl.truststore.password",
        "https.ca.pem",
        "some.future.secret",
        "some.future.key",
        "some.token",
    ];
    stays_hidden(&secret_keys, "sasl.password", "PLAIN");
    let secret_keys = [
        "ssl.keystore.password",
        "ssl.keystore.location",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.scope",
    ];
    stays_hidden(&secret_keys, "ssl.keystore.location", "OAUTHBEARER");
}

/// Sets each of the keys in every way there is, and prints everything that can be printed.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn stays_hidden(secret_keys: &[&str], one: &str, mechanism: &str) {
    let value = |key: &str| {
        if key.ends_with(".pem") {
            format!("-----BEGIN {CANARY}")
        } else {
            CANARY.to_owned()
        }
    };
    let pairs: Vec<String> = secret_keys
        .iter()
        .map(|key| format!("{key}={}", value(key)))
        .collect();
    let flags = Flags {
        consumer: pairs.clone(),
        producer: pairs.clone(),
        http_token: Some(CANARY.to_owned()),
        security: SecurityFlags {
            security_protocol: some("SASL_SSL"),
            sasl_mechanism: some(mechanism),
            sasl_oauthbearer_scope: some(CANARY),
            ..SecurityFlags::default()
        },
        ..offline()
    };
    assert!(!format!("{flags:?}").contains(CANARY));
    let mut vars = env(&[
        ("APP_PASSWORD", CANARY),
        ("APP_A__B", CANARY),
        ("CITIZENK_X", CANARY),
        ("KAFKA_BROKER", CANARY),
        ("KAFKA_SASL_PASSWORT", CANARY),
    ]);
    for key in secret_keys {
        for prefix in ["KAFKA_CONSUMER", "KAFKA"] {
            vars.insert(format!("{prefix}_{}", kafka::env_suffix(key)), value(key));
        }
    }
    let mut file = format!("[app]\nx = '{CANARY}'\ny.z = ['{CANARY}']\n[kafka]\n");
    for key in secret_keys {
        file.push_str(&format!("\"{key}\" = '{}'\n", value(key)));
    }
    let settings = Settings::resolve(flags.clone(), &vars, Some(("c.toml", &file))).unwrap();
    assert!(
        !printed(&settings).contains(CANARY),
        "{}",
        printed(&settings)
    );
    assert!(printed(&settings).contains(&format!("kafka.consumer.{one}")));

    // Nor when it is refused.
    let wrong = Flags {
        bootstrap_servers: Some(format!("SASL_SSL://user:{CANARY}@host:9092")),
        http_token: Some(format!("{CANARY} with spaces")),
        consumer: vec![
            CANARY.to_owned(),
            format!("sasl.password={CANARY}\nx"),
            format!("group.id={CANARY}"),
        ],
        topic: vec![CANARY.to_owned()],
        ..Flags::default()
    };
    let file =
        format!("[kafka]\nsasl.password = ['{CANARY}']\n[http]\ntoken = {{ x = '{CANARY}' }}\n");
    let refused = Settings::resolve(wrong, &vars, Some(("c.toml", &file))).unwrap_err();
    assert!(refused.len() >= 7, "{refused:?}");
    assert!(!format!("{refused:?}").contains(CANARY), "{refused:#?}");
}

#[test]
fn what_is_harmless_is_printed_with_its_source() {
    let flags = Flags {
        consumer: strings(&["fetch.wait.max.ms=100"]),
        bootstrap_servers: some("a:1"),
        ..Flags::default()
    };
    let settings = Settings::resolve(
        flags,
        &env(&[("CITIZENK_DRAIN", "90s")]),
        Some(("c.toml", "[http]\nprefix='/x'")),
    )
    .unwrap();
    let text = settings.printable().to_string();
    for line in [
        "broker = a:1 (--bootstrap-servers)",
        "kafka.consumer.fetch.wait.max.ms = 100 (--consumer)",
        "drain = 90s (CITIZENK_DRAIN)",
        "http.prefix = /x (c.toml:2)",
        "http.address = 127.0.0.1:8000 (default)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let json = serde_json::to_value(settings.printable()).unwrap();
    assert_eq!(json["drain"], "90s");
}

#[test]
fn weak_settings_are_accepted_with_a_warning() {
    let file = "[kafka]\nenable.ssl.certificate.verification = false";
    let settings = Settings::resolve(offline(), &env(&[]), Some(("c.toml", file))).unwrap();
    assert_eq!(
        settings.warnings(),
        [
            "c.toml:2: `enable.ssl.certificate.verification`: anybody can pose as the broker: its certificate is not verified"
        ]
    );
    assert_eq!(merge_producer(&settings).len(), 1);
}

#[test]
fn a_file_is_loaded_and_a_missing_one_is_a_mistake() {
    let path = std::env::temp_dir().join(format!("citizenk-config-{}.toml", std::process::id()));
    std::fs::write(&path, "[topics]\nvideos = 'from-file'").unwrap();
    let config = path.to_str().map(str::to_owned);
    let loaded = Settings::load(Flags {
        config,
        ..offline()
    });
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.unwrap().real_topic("videos"), "from-file");

    let missing = Flags {
        config: some("/no/such/file.toml"),
        http: some("8000"),
        ..offline()
    };
    let errors = Settings::load(missing).unwrap_err();
    assert_eq!(errors[0].key, "--config");
    assert!(
        errors[0]
            .message
            .starts_with("cannot read `/no/such/file.toml`: ")
    );
    assert_eq!(errors[1].key, "--http");
}
