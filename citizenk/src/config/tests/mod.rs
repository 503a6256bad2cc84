//! Precedence, and all errors at once.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::ConfigError;

mod clusters;
mod profile;
mod registry;
mod secrets;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn offline() -> Flags {
    Flags {
        offline: true,
        ..Flags::default()
    }
}

fn errors(flags: Flags, vars: &[(&str, &str)], file: &str) -> Vec<String> {
    let Err(errors) = Settings::resolve(flags, &env(vars), Some(("c.toml", file))) else {
        panic!("should be refused: {file}");
    };
    errors.iter().map(ConfigError::to_string).collect()
}

const FULL: &str = r#"
group = "file-group"
topic_prefix = "staging."
drain = "20s"

[topics]
videos = "videos-v2"
orders.v1 = "orders"

[http]
address = "0.0.0.0:80"
prefix = "/file"
token = "file-token-of-some-length"

[log]
filter = "warn"
format = "json"

[kafka]
bootstrap.servers = "file:9092"
security.protocol = "SASL_SSL"
"sasl.mechanism" = "OAUTHBEARER"
[kafka.consumer]
fetch.wait.max.ms = 100
check.crcs = true
[kafka.producer]
linger.ms = 1.5

[agents.process]
batch_size = 100
batch_timeout = "200ms"
concurrency = 4
timeout = "20s"
enabled = false
"#;

#[test]
fn nothing_said_is_the_default() {
    let settings = Settings::resolve(offline(), &env(&[]), None).unwrap();
    assert_eq!(settings.http.address.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.http.prefix.value, "");
    assert_eq!(settings.http.access(), HttpAccess::Open);
    assert_eq!(settings.drain.value, Duration::from_secs(10));
    assert_eq!(settings.log_filter.value, "info");
    assert_eq!(settings.log_format.value, LogFormat::Text);
    assert_eq!(settings.broker.value, Broker::Unset);
    assert!(settings.warnings().is_empty());
    assert_eq!(
        settings.printable().to_string(),
        Settings::default().printable().to_string()
    );
}

#[test]
fn a_file_says_everything() {
    let settings = Settings::resolve(Flags::default(), &env(&[]), Some(("c.toml", FULL))).unwrap();
    assert_eq!(settings.broker.value, Broker::Cluster("file:9092".into()));
    assert_eq!(settings.group.as_ref().unwrap().value, "file-group");
    assert_eq!(settings.real_topic("videos"), "videos-v2");
    assert_eq!(settings.real_topic("orders.v1"), "orders");
    assert_eq!(settings.real_topic("other"), "staging.other");
    assert_eq!(settings.http.address.to_string(), "0.0.0.0:80");
    assert_eq!(
        settings.http.access(),
        HttpAccess::Token(Secret::new("file-token-of-some-length"))
    );
    assert_eq!(settings.drain.value, Duration::from_secs(20));
    assert_eq!(settings.log_format.value, LogFormat::Json);
    assert_eq!(
        merge_consumer(&settings),
        env(&[
            ("check.crcs", "true"),
            ("fetch.wait.max.ms", "100"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("security.protocol", "SASL_SSL")
        ])
    );
    assert_eq!(
        merge_producer(&settings),
        env(&[
            ("linger.ms", "1.5"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("security.protocol", "SASL_SSL")
        ])
    );
    let tuning = &settings.agents["process"];
    assert_eq!(tuning.batch_size.as_ref().unwrap().value, 100);
    assert_eq!(
        tuning.batch_timeout.as_ref().unwrap().value,
        Duration::from_millis(200)
    );
    assert_eq!(tuning.concurrency.as_ref().unwrap().value, 4);
    assert_eq!(
        tuning.timeout.as_ref().unwrap().value,
        Duration::from_secs(20)
    );
    assert!(!tuning.enabled.as_ref().unwrap().value);
    assert_eq!(tuning.source.to_string(), "c.toml:29");
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file() {
    let vars = env(&[
        ("KAFKA_BOOTSTRAP_SERVERS", "env:1"),
        ("CITIZENK_GROUP", "env-group"),
        ("CITIZENK_TOPICS", "videos=env-videos, a=b"),
        ("CITIZENK_TOPIC_PREFIX", "env."),
        ("CITIZENK_HTTP", "env:1"),
        ("CITIZENK_PREFIX", "/env"),
        ("CITIZENK_HTTP_TOKEN", "env-token-of-some-length"),
        ("CITIZENK_HTTP_OPEN", "off"),
        ("CITIZENK_HTTP_CONNECTIONS", "64"),
        ("CITIZENK_DRAIN", "2s"),
        ("RUST_LOG", "debug"),
        ("CITIZENK_LOG_FORMAT", "text"),
        ("KAFKA_CONSUMER_FETCH_WAIT_MAX_MS", "200"),
        ("KAFKA_PRODUCER_QUEUE_BUFFERING_MAX_MS", "7"),
    ]);
    let settings = Settings::resolve(Flags::default(), &vars, Some(("c.toml", FULL))).unwrap();
    assert_eq!(settings.broker.value, Broker::Cluster("env:1".into()));
    assert_eq!(
        settings.broker.source.to_string(),
        "KAFKA_BOOTSTRAP_SERVERS"
    );
    assert_eq!(settings.group.as_ref().unwrap().value, "env-group");
    assert_eq!(settings.real_topic("videos"), "env-videos");
    assert_eq!(settings.real_topic("a"), "b");
    assert_eq!(settings.real_topic("c"), "env.c");
    assert_eq!(settings.http.address.to_string(), "env:1");
    assert_eq!(settings.drain.value, Duration::from_secs(2));
    let connections = settings.http.connections.as_ref().unwrap();
    assert_eq!(
        (connections.value, connections.source.to_string()),
        (64, "CITIZENK_HTTP_CONNECTIONS".to_owned())
    );
    assert_eq!(settings.log_filter.value, "debug");
    assert_eq!(settings.log_format.value, LogFormat::Text);
    assert_eq!(merge_consumer(&settings)["fetch.wait.max.ms"], "200");
    // Another spelling of the file's `linger.ms`.
    assert_eq!(merge_producer(&settings).get("linger.ms"), None);
    assert_eq!(merge_producer(&settings)["queue.buffering.max.ms"], "7");

    let flags = Flags {
        bootstrap_servers: some("flag:1"),
        group: some("flag-group"),
        topic: strings(&["videos=flag-videos"]),
        topic_prefix: some("flag."),
        http: some("[::1]:0"),
        prefix: some("/flag"),
        http_token: some("flag-token-of-some-length"),
        consumer: strings(&["fetch.wait.max.ms=300", "fetch.min.bytes=1"]),
        producer: strings(&["linger.ms=9"]),
        drain: some("3s"),
        log: some("trace"),
        log_format: some("json"),
        ..Flags::default()
    };
    let settings = Settings::resolve(flags, &vars, Some(("c.toml", FULL))).unwrap();
    assert_eq!(settings.broker.value, Broker::Cluster("flag:1".into()));
    assert_eq!(settings.group.as_ref().unwrap().value, "flag-group");
    assert_eq!(settings.real_topic("videos"), "flag-videos");
    assert_eq!(settings.real_topic("c"), "flag.c");
    assert_eq!(settings.http.address.to_string(), "[::1]:0");
    assert_eq!(settings.http.prefix.value, "/flag");
    assert_eq!(
        settings.http.token.as_ref().unwrap().expose(),
        "flag-token-of-some-length"
    );
    assert_eq!(settings.drain.value, Duration::from_secs(3));
    assert_eq!(settings.log_filter.value, "trace");
    assert_eq!(merge_consumer(&settings)["fetch.wait.max.ms"], "300");
    assert_eq!(merge_producer(&settings)["linger.ms"], "9");
}

#[test]
fn a_service_without_brokers_is_refused() {
    let refused = Settings::resolve(Flags::default(), &env(&[]), None).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].key, "KAFKA_BOOTSTRAP_SERVERS");
    assert_eq!(
        refused[0].message,
        "is not set; set it to the addresses of the Kafka brokers, or pass `--bootstrap-servers HOST:PORT`, \
         or `--embedded` for a broker inside the process"
    );
    // An empty variable is an unset one, and a slip is named.
    let vars = env(&[
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("KAFKA_BOOTSTRAP_SERVER", "a:1"),
    ]);
    let refused = Settings::resolve(Flags::default(), &vars, None).unwrap_err();
    assert!(
        refused[0]
            .message
            .starts_with("is not set (KAFKA_BOOTSTRAP_SERVER is set, but that is not its name);")
    );

    let embedded = Flags {
        embedded: true,
        ..Flags::default()
    };
    assert_eq!(
        Settings::resolve(embedded.clone(), &env(&[]), None)
            .unwrap()
            .broker
            .value,
        Broker::Embedded
    );
    let by_default = Flags {
        embedded_by_default: true,
        ..Flags::default()
    };
    assert_eq!(
        Settings::resolve(by_default.clone(), &env(&[]), None)
            .unwrap()
            .broker
            .value,
        Broker::Embedded
    );
    // What a program falls back to never hides a cluster that was named; the flag does, and says so.
    let vars = env(&[("KAFKA_BOOTSTRAP_SERVERS", "a:1")]);
    let settings = Settings::resolve(by_default, &vars, None).unwrap();
    assert_eq!(settings.broker.value, Broker::Cluster("a:1".into()));
    let settings = Settings::resolve(embedded, &vars, None).unwrap();
    assert_eq!(settings.broker.value, Broker::Embedded);
    assert!(settings.warnings()[0].contains("KAFKA_BOOTSTRAP_SERVERS are not used"));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let flags = Flags {
        bootstrap_servers: some("a:x"),
        embedded: false,
        topic: strings(&["nonsense", "a="]),
        http: some("8000"),
        prefix: some("api"),
        consumer: strings(&["enable.auto.commit=true", "fetch.min.bytes"]),
        producer: strings(&["fetch.min.bytes=1"]),
        log_format: some("jsn"),
        ..Flags::default()
    };
    let vars = [
        ("KAFKA_PRODUCER_PARTITIONER", "random"),
        ("CITIZENK_DRAIN", "10"),
        ("CITIZENK_HTTP_OPEN", "maybe"),
        ("CITIZENK_HTTP_CONNECTIONS", "0"),
    ];
    let file = "topic_prefx = 'x'\n[http]\nport = 1\n[agents.process]\nbatch_size = 0\nbatch_timeout = '5 parsecs'\n\
                concurency = 2\nenabled = 'no'\n[kafka]\nlinger.ms = 1\ngroup.id = 'x'\n[kafka.consumer]\ndebug = ['a']";
    let found = errors(flags, &vars, file);
    for expected in [
        "topic_prefx (c.toml:1): unknown key; did you mean `topic_prefix`?",
        "http.port (c.toml:3): unknown key; known are address, prefix, token, open, connections",
        "agents.process.batch_size (c.toml:5): must be at least 1",
        "agents.process.batch_timeout (c.toml:6): invalid duration `5 parsecs`; write a number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\", \"1d\"",
        "agents.process.concurency (c.toml:7): unknown key; did you mean `concurrency`?",
        "agents.process.enabled (c.toml:8): must be `true` or `false`, not a text",
        "kafka.linger.ms (c.toml:10): `linger.ms` is a producer setting: give it to `--producer`, KAFKA_PRODUCER_LINGER_MS or `[kafka.producer]`",
        "kafka.group.id (c.toml:11): `group.id` cannot be set: use `--group`, or `group = \"..\"` on the agent",
        "kafka.consumer.debug (c.toml:13): must be a text, number or boolean, not a list",
        "--bootstrap-servers: `x` is no port; use 0 (any free one) to 65535",
        "--topic: must have the form NAME=REAL",
        "--topic: the real name of topic `a` is empty",
        "--http: `8000` needs a host and a port, e.g. `127.0.0.1:8000`",
        "--prefix: `api` must start with `/`, e.g. `/api`",
        "--consumer: `enable.auto.commit` cannot be set: the runtime commits what is settled, so that nothing is lost or committed too early",
        "--consumer: must have the form KEY=VALUE, e.g. fetch.wait.max.ms=100",
        "--producer: `fetch.min.bytes` is a consumer setting: give it to `--consumer`, KAFKA_CONSUMER_FETCH_MIN_BYTES or `[kafka.consumer]`",
        "KAFKA_PRODUCER_PARTITIONER: `partitioner` cannot be set: it belongs to the topic: `Topic::json(\"..\").partitioner(..)`",
        "CITIZENK_DRAIN: `10` needs a unit, e.g. \"10s\" or \"10ms\"",
        "CITIZENK_HTTP_OPEN: must be `true` or `false`",
        "CITIZENK_HTTP_CONNECTIONS: must be a whole number of at least 1",
        "--log-format: unknown format `jsn`; use `text` or `json`; did you mean `json`?",
    ] {
        assert!(
            found.iter().any(|error| error == expected),
            "{expected}\nnot in\n{}",
            found.join("\n")
        );
    }
    assert_eq!(found.len(), 22, "{}", found.join("\n"));
}

#[test]
fn topics_are_checked_and_created_as_flag_variable_and_file_say() {
    let file = "create_topics = true\ncheck_topics = 'error'\n";
    let all = [
        ("CITIZENK_CREATE_TOPICS", "false"),
        ("CITIZENK_CHECK_TOPICS", "off"),
    ];
    let given = Flags {
        create_topics: true,
        check_topics: some("warn"),
        ..offline()
    };
    for (flags, vars, file, expected) in [
        (offline(), &[][..], "", (false, CheckTopics::Warn)),
        (offline(), &[], file, (true, CheckTopics::Error)),
        (offline(), &all, file, (false, CheckTopics::Off)),
        (given, &all, file, (true, CheckTopics::Warn)),
    ] {
        let settings = Settings::resolve(flags, &env(vars), Some(("c.toml", file))).unwrap();
        let found = (settings.create_topics.value, settings.check_topics.value);
        assert_eq!(found, expected);
    }
    assert_eq!(
        errors(offline(), &[("CITIZENK_CHECK_TOPICS", "warm")], ""),
        [
            "CITIZENK_CHECK_TOPICS: unknown value `warm`; use `warn`, `error` or `off`; did you mean `warn`?"
        ]
    );
}

#[test]
fn wrong_types_and_broken_files_name_the_key_or_the_line() {
    for (file, expected) in [
        (
            "group = 1",
            "group (c.toml:1): must be a text in quotes, not an integer",
        ),
        (
            "\nhttp = 'x'",
            "http (c.toml:2): must be a table, `[http]`, not a text",
        ),
        (
            "agents.process = 1",
            "agents.process (c.toml:1): must be a table, `[agents.process]`, not an integer",
        ),
        (
            "[kafka]\nconsumer = 1",
            "kafka.consumer (c.toml:2): must be a table, `[kafka.consumer]`, not an integer",
        ),
        (
            "[topics]\na = 1",
            "topics.a (c.toml:2): must be a text in quotes, not an integer",
        ),
        ("drain = '0s'", "drain (c.toml:1): must be longer than zero"),
        (
            "big = 99999999999999999999",
            "big (c.toml:1): this integer is too large",
        ),
        (
            "[http]\ntoken = 'hunter2-but-longer'\nopen = true",
            "http.open (c.toml:3): a token (from c.toml:2) protects requests and this opens them; give one of them",
        ),
    ] {
        assert_eq!(errors(offline(), &[], file), [expected], "{file}");
    }
    let broken = errors(offline(), &[], "a = 1\ntoken = \"hunter2");
    assert!(
        broken[0].starts_with("c.toml:2: not valid TOML: "),
        "{}",
        broken[0]
    );
    assert!(!broken[0].contains("hunter2"));
    let both = Flags {
        bootstrap_servers: some("a:1"),
        embedded: true,
        ..Flags::default()
    };
    assert_eq!(
        errors(both, &[], ""),
        ["--bootstrap-servers: conflicts with `--embedded`; give one of them"]
    );
}

#[test]
fn slips_are_warnings() {
    let flags = Flags {
        http_token: some("short"),
        ..offline()
    };
    let settings = Settings::resolve(flags, &env(&[("CITIZENK_HTPP", "x")]), None).unwrap();
    assert_eq!(
        settings.warnings(),
        [
            "CITIZENK_HTPP has no effect; did you mean CITIZENK_HTTP?",
            "--http-token: the token has fewer than 16 characters and can be guessed",
        ]
    );
}

#[test]
fn a_worker_knows_which_peer_it_is() {
    let peers = (
        "CITIZENK_PEERS",
        "http://10.0.0.1:8000,http://10.0.0.2:8000",
    );
    let own = ("CITIZENK_ADVERTISED_URL", "http://10.0.0.1:8000");
    let at = |http: &str| Flags {
        http: some(http),
        ..offline()
    };
    for http in ["0.0.0.0:8000", "[::]:8000"] {
        assert_eq!(
            errors(at(http), &[peers], ""),
            [format!(
                "CITIZENK_PEERS: a worker that serves `{http}` cannot tell which of them it is; set \
                 CITIZENK_ADVERTISED_URL to its own address, as it stands in the list"
            )]
        );
        for vars in [&[peers, own][..], &[own], &[]] {
            assert!(Settings::resolve(at(http), &env(vars), None).is_ok());
        }
    }
    assert!(Settings::resolve(at("10.0.0.1:8000"), &env(&[peers]), None).is_ok());
}

#[test]
fn who_may_change_something() {
    let access = |http: &str, token: Option<&str>, open: bool| {
        let flags = Flags {
            http: some(http),
            http_token: token.map(str::to_owned),
            http_open: open,
            ..offline()
        };
        Settings::resolve(flags, &env(&[]), None)
            .unwrap()
            .http
            .access()
    };
    assert_eq!(access("127.0.0.1:1", None, false), HttpAccess::Open);
    assert_eq!(access("0.0.0.0:1", None, false), HttpAccess::Closed);
    assert_eq!(access("0.0.0.0:1", None, true), HttpAccess::Open);
    assert_eq!(
        access("0.0.0.0:1", Some("t"), false),
        HttpAccess::Token(Secret::new("t"))
    );
}

proptest! {
    #[test]
    fn the_strongest_source_wins(
        flag in prop::option::of("[a-z]{1,8}"),
        var in prop::option::of("[a-z ]{0,8}"),
        file in prop::option::of("[a-z]{1,8}"),
    ) {
        let text = file.as_ref().map_or(String::new(), |file| format!("group = '{file}'"));
        let vars: Vec<_> = var.iter().map(|var| ("CITIZENK_GROUP", var.as_str())).collect();
        let flags = Flags { group: flag.clone(), ..offline() };
        let settings = Settings::resolve(flags, &env(&vars), Some(("c.toml", &text))).unwrap();
        let var = var.map(|var| var.trim().to_owned()).filter(|var| !var.is_empty());
        prop_assert_eq!(settings.group.map(|group| group.value), flag.or(var).or(file));
    }

    #[test]
    fn no_input_panics(name in "(KAFKA|CITIZENK)_[A-Z_]{0,16}", value in ".{0,16}", file in "[a-z\\[\\]=.'\"0-9\n ]{0,60}") {
        let flags = Flags { consumer: vec![value.clone()], topic: vec![value.clone()], http: Some(value.clone()), ..offline() };
        let _ = Settings::resolve(flags, &env(&[(&name, &value)]), Some(("c.toml", &file)));
    }

    #[test]
    fn client_settings_from_flags_arrive(key in "[a-z]{3,8}\\.[a-z]{3,8}\\.zz", value in "[!-~]{1,20}") {
        let flags = Flags { consumer: vec![format!("{key}={value}")], ..offline() };
        let settings = Settings::resolve(flags, &env(&[]), None).unwrap();
        prop_assert_eq!(&merge_consumer(&settings)[&key], &value);
        prop_assert!(merge_producer(&settings).is_empty());
        prop_assert!(value.len() < 6 || !secrets::printed(&settings).contains(&value));
    }
}
