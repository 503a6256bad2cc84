//! Clusters with a name.

use super::*;

const FILE: &str = r#"
[kafka]
bootstrap.servers = "a:1"
security.protocol = "SASL_SSL"
sasl.mechanism = "PLAIN"
sasl.username = "here"
sasl.password = "hunter2"
[kafka.consumer]
fetch.wait.max.ms = 50
[kafka.producer]
linger.ms = 3

[clusters.eu]
bootstrap.servers = "b:1"
[clusters.eu.consumer]
fetch.wait.max.ms = 500

[clusters.eu-west]
bootstrap.servers = "file:1"
"#;

fn of<'a>(settings: &'a Settings, name: &str) -> ClusterView<'a> {
    settings.cluster(name).expect("it is there")
}

#[test]
fn a_cluster_begins_with_the_unnamed_ones_settings_without_its_security() {
    let vars = env(&[
        ("KAFKA_EU_WEST_BOOTSTRAP_SERVERS", "env:1"),
        ("KAFKA_EU_SECURITY_PROTOCOL", "SASL_SSL"),
        ("KAFKA_EU_SASL_MECHANISM", "SCRAM-SHA-256"),
        ("KAFKA_EU_SASL_USERNAME", "there"),
        ("KAFKA_EU_SASL_PASSWORD", "hunter3"),
        ("KAFKA_EU_WEST_PRODUCER_LINGER_MS", "9"),
        ("KAFKA_EU_CONSUMER_CHECK_CRCS", "true"),
    ]);
    let flags = Flags {
        cluster: strings(&[
            "eu.consumer.fetch.min.bytes=7",
            "us.bootstrap.servers=flag:1",
        ]),
        clusters: strings(&["us"]),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &vars, Some(("c.toml", FILE))).unwrap();
    assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
    let servers = |name: &str| of(&settings, name).broker.value.clone();
    for (name, address) in [
        ("default", "a:1"),
        ("eu", "b:1"),
        ("eu-west", "env:1"),
        ("us", "flag:1"),
    ] {
        assert_eq!(servers(name), Broker::Cluster(address.into()), "{name}");
    }
    let eu = of(&settings, "eu").consumer();
    for (key, value) in [
        ("fetch.wait.max.ms", "500"),
        ("fetch.min.bytes", "7"),
        ("check.crcs", "true"),
        ("sasl.username", "there"),
        ("sasl.password", "hunter3"),
    ] {
        assert_eq!(eu[key], value, "{key}");
    }
    assert_eq!(of(&settings, "eu").producer()["linger.ms"], "3");
    let west = of(&settings, "eu-west");
    assert_eq!(west.consumer()["fetch.wait.max.ms"], "50");
    assert_eq!(west.producer()["linger.ms"], "9");
    let secret = |map: BTreeMap<String, String>| map.keys().any(|key| key.starts_with("sasl"));
    assert!(!secret(west.consumer()) && !secret(west.producer()));
    assert_eq!(of(&settings, "default").consumer()["sasl.username"], "here");
    assert!(
        !of(&settings, "default")
            .consumer()
            .contains_key("check.crcs")
    );

    let printed = settings.printable().to_string();
    for line in [
        "clusters.eu-west.broker = env:1 (KAFKA_EU_WEST_BOOTSTRAP_SERVERS)",
        "clusters.us.broker = flag:1 (--cluster)",
        "clusters.eu.consumer.fetch.min.bytes = 7 (--cluster)",
        "clusters.eu.consumer.check.crcs = true (KAFKA_EU_CONSUMER_CHECK_CRCS)",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert!(!printed.contains("hunter"), "{printed}");
}

#[test]
fn mistakes_are_said_in_the_clusters_own_words() {
    let flags = || Flags {
        clusters: strings(&["eu"]),
        bootstrap_servers: some("a:1"),
        ..Flags::default()
    };
    let servers = ("KAFKA_EU_BOOTSTRAP_SERVERS", "b:1");
    for (vars, file, expected) in [
        (
            vec![],
            "",
            "KAFKA_EU_BOOTSTRAP_SERVERS: is not set; set it to the addresses of the Kafka brokers, or pass \
             `--cluster eu.bootstrap.servers=HOST:PORT`, or `--embedded`",
        ),
        (
            vec![("KAFKA_EU_BROKERS", "b:1")],
            "",
            "(KAFKA_EU_BROKERS is set, but that is not its name)",
        ),
        (
            vec![servers, ("KAFKA_EU_SASL_USERNAME", "x")],
            "",
            "KAFKA_EU_SASL_USERNAME: has no effect without SASL: set `security.protocol` \
             (KAFKA_EU_SECURITY_PROTOCOL)",
        ),
        (
            vec![servers],
            "[clusters.eu]\nssl.ca.location = \"/ca\"",
            "clusters.eu.ssl.ca.location (c.toml:2): has no effect without TLS",
        ),
        (
            vec![servers, ("KAFKA_EU_CONSUMER_LINGER_MS", "1")],
            "",
            "KAFKA_EU_CONSUMER_LINGER_MS: `linger.ms` is a producer setting: give it to \
             `--cluster eu.producer`, KAFKA_EU_PRODUCER_LINGER_MS or `[clusters.eu.producer]`",
        ),
        (
            vec![servers],
            "[clusters.eu.consumer]\ngroup.id = \"x\"",
            "clusters.eu.consumer.group.id (c.toml:2): `group.id` cannot be set",
        ),
        (
            vec![servers],
            "[clusters]\nEU = 1",
            "must be a table, `[clusters.EU]`",
        ),
        (vec![servers], "[clusters.EU]", "`EU` cannot name a cluster"),
        (
            vec![servers],
            "[clusters.ssl-2]",
            "KAFKA_SSL have another meaning",
        ),
    ] {
        let errors = errors(flags(), &vars, file);
        let found = errors.iter().any(|error| error.contains(expected));
        assert!(found, "{expected}\nnot in\n{}", errors.join("\n"));
    }
    for (given, expected) in [
        ("eu", "--cluster: must have the form NAME.KEY=VALUE"),
        ("eu=x", "must have the form NAME.KEY=VALUE"),
        (
            "eu.consumer.linger.ms=1",
            "--cluster eu.consumer: `linger.ms` is a producer setting",
        ),
    ] {
        let flags = Flags {
            cluster: strings(&[given]),
            ..flags()
        };
        let errors = errors(flags, &[servers], "");
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{errors:?}"
        );
    }
}

#[test]
fn embedded_brokers_are_for_all_clusters_or_for_none() {
    let brokers = |flags: Flags, vars: &[(&str, &str)]| {
        let flags = Flags {
            clusters: strings(&["eu"]),
            ..flags
        };
        let settings = Settings::resolve(flags, &env(vars), None);
        settings.map(|settings| {
            let broker = |name| of(&settings, name).broker.value.clone();
            (broker("default"), broker("eu"))
        })
    };
    let both = Ok((Broker::Embedded, Broker::Embedded));
    let embedded = || Flags {
        embedded: true,
        ..Flags::default()
    };
    assert_eq!(brokers(embedded(), &[]), both);
    assert_eq!(
        brokers(embedded(), &[("KAFKA_EU_BOOTSTRAP_SERVERS", "b:1")]),
        both
    );
    let by_default = || Flags {
        embedded_by_default: true,
        ..Flags::default()
    };
    assert_eq!(brokers(by_default(), &[]), both);
    // The one without a name may not be needed; that is known when the app is.
    assert_eq!(
        brokers(by_default(), &[("KAFKA_EU_BOOTSTRAP_SERVERS", "b:1")]),
        Ok((Broker::Unset, Broker::Cluster("b:1".into())))
    );
    let errors = brokers(by_default(), &[("KAFKA_BOOTSTRAP_SERVERS", "a:1")]).unwrap_err();
    assert_eq!(errors[0].key, "KAFKA_EU_BOOTSTRAP_SERVERS");
}
