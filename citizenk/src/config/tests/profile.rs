//! Client settings that go together.

use super::*;

/// `fetch.wait.max.ms` of consumers and `linger.ms` of producers, if they are set.
fn waits(flags: Flags, vars: &[(&str, &str)], file: &str) -> [Option<String>; 2] {
    let Ok(settings) = Settings::resolve(flags, &env(vars), Some(("c.toml", file))) else {
        panic!("refused: {file}");
    };
    [
        merge_consumer(&settings).remove("fetch.wait.max.ms"),
        merge_producer(&settings).remove("linger.ms"),
    ]
}

#[test]
fn the_latency_profile_sets_how_long_clients_wait() {
    let latency = || Flags {
        profile: some("latency"),
        bootstrap_servers: some("a:1"),
        ..Flags::default()
    };
    assert_eq!(waits(latency(), &[], ""), [some("10"), some("0")]);
    let embedded = Flags {
        bootstrap_servers: None,
        embedded: true,
        ..latency()
    };
    assert_eq!(waits(embedded, &[], ""), [some("1"), some("0")]);
    let from_env = [("CITIZENK_PROFILE", "latency")];
    let throughput = "profile = 'throughput'";
    assert_eq!(
        waits(offline(), &from_env, throughput),
        [some("10"), some("0")]
    );
    assert_eq!(
        waits(offline(), &[], "profile = 'latency'"),
        [some("10"), some("0")]
    );
    assert_eq!(waits(offline(), &[], throughput), [None, None]);
    assert_eq!(waits(offline(), &[], ""), [None, None]);
}

#[test]
fn a_setting_of_its_own_wins_over_the_profile_in_every_spelling() {
    let file = "profile = 'latency'\n[kafka.consumer]\nfetch.wait.max.ms = 7\n\
                [kafka.producer]\nqueue.buffering.max.ms = 3";
    // A flag for the profile is no flag for the setting.
    let flags = Flags {
        profile: some("latency"),
        ..offline()
    };
    let settings = Settings::resolve(flags, &env(&[]), Some(("c.toml", file))).unwrap();
    assert_eq!(merge_consumer(&settings)["fetch.wait.max.ms"], "7");
    let producer = merge_producer(&settings);
    assert_eq!(producer["queue.buffering.max.ms"], "3");
    assert_eq!(producer.get("linger.ms"), None);
}

#[test]
fn the_profile_is_printed_with_its_source_and_a_wrong_one_is_refused() {
    let file = Some(("c.toml", "profile = 'latency'"));
    let settings = Settings::resolve(offline(), &env(&[]), file).unwrap();
    let text = settings.printable().to_string();
    for line in [
        "profile = latency (c.toml:1)",
        "kafka.producer.linger.ms = 0 (c.toml:1)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert_eq!(
        errors(offline(), &[("CITIZENK_PROFILE", "latncy")], ""),
        [
            "CITIZENK_PROFILE: unknown profile `latncy`; use `throughput` or `latency`; did you mean `latency`?"
        ]
    );
}
