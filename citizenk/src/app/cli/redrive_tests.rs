//! `redrive` on the in-memory log, beside a running app.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::prelude::*;
use crate::record::TopicPartition;
use crate::schema::Schemas;
use crate::testing::{TestApp, block_on};
use crate::transport::{
    ConsumerEvents, ConsumerSpec, Control, Drain, Pace, Start, Transport, TransportError,
};
use crate::{Flags, Policy};

const ORDERS: Topic<u32, u32> = Topic::json("orders").key_big_endian();
const DONE: Topic<u32> = Topic::json("done");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");
const FIRST: Topic<RawBytes, u32> = Topic::raw("shop.pay.retry.30s").key_big_endian();

type Broken = Arc<AtomicBool>;

fn app(broken: &Broken) -> App {
    let agent = |name: &str, policy: Policy| {
        let broken = broken.clone();
        crate::Agent::builder::<Event<u32>>(name)
            .topic(&ORDERS)
            .sends(&DONE)
            .on_error(policy.then_dead_letter(&LETTERS))
            .handle(move |order: Event<u32>, out: Outbox| {
                let broken = broken.clone();
                async move {
                    if broken.load(Ordering::Relaxed) {
                        return Err(AgentError::new(format!("no money for {}", order.value)));
                    }
                    out.send(&DONE, &order.topic().to_owned(), order.value)?;
                    Ok(())
                }
            })
    };
    App::new("shop")
        .component(agent(
            "pay",
            Policy::retry_topics([Duration::from_secs(30)]),
        ))
        .component(agent("count", Policy::retry(0)))
}

fn settings() -> Settings {
    let flags = Flags {
        offline: true,
        ..Flags::default()
    };
    Settings::resolve(flags, &BTreeMap::new(), None).unwrap()
}

fn args() -> RedriveArgs {
    RedriveArgs {
        topic: "letters".to_owned(),
        ..RedriveArgs::default()
    }
}

async fn redriven(app: &TestApp, args: &RedriveArgs) -> Result<Report, RunError> {
    let program = super::tests::app(&Broken::default());
    let (settings, clock) = (settings(), Clock::tokio(app.now()));
    let tool = run(&program, &settings, args, app.clusters(), pending(), &clock);
    app.beside(tool).await
}

/// Ten orders that both agents could not handle; the cause is gone.
async fn with_letters() -> TestApp {
    let broken = Broken::new(AtomicBool::new(true));
    let made = broken.clone();
    let test = TestApp::new(move || app(&made));
    let test = test.partitions(&ORDERS, 2).start().await.unwrap();
    for order in 0..10 {
        test.topic(&ORDERS).push(&order, order);
    }
    test.advance("30s").await;
    assert_eq!(test.dead_letters().len(), 20);
    broken.store(false, Ordering::Relaxed);
    test
}

fn sent(report: &Report) -> Vec<(&str, u64)> {
    let sent = report.sent.iter();
    sent.map(|(topic, count)| (topic.as_str(), *count))
        .collect()
}

#[test]
fn letters_go_to_the_agents_retry_topic_and_are_handled_at_once() {
    block_on(async {
        let app = with_letters().await;
        let before = app.topic(&FIRST).sent_raw().len();
        let report = redriven(&app, &args()).await.unwrap();
        assert_eq!((report.read, report.filtered), (20, 0));
        assert_eq!(sent(&report), [("shop.pay.retry.30s", 10)]);
        let refused: Vec<_> = report.refused.iter().collect();
        assert_eq!(refused.len(), 1);
        assert!(
            refused[0].0.contains("agent `count` has no retry topics") && *refused[0].1 == 10,
            "{refused:?}"
        );
        app.settle().await;
        let records = app.topic(&FIRST).sent();
        assert_eq!(records.len(), before + 10);
        let last = &records[before];
        let written = app.now() - Duration::from_secs(30);
        let written = written.timestamp_millis().to_string();
        for (name, expected) in [
            ("attempts", "0"),
            ("stage", "1"),
            ("topic", "orders"),
            ("timestamp", &written),
        ] {
            let name = format!("citizenk.retry.{name}");
            assert_eq!(last.headers.text(&name), Some(expected), "{name}");
        }
        let old = last.headers.iter();
        assert_eq!(
            old.filter(|(name, _)| name.starts_with(DEAD_LETTER_HEADERS))
                .count(),
            0
        );
        let mut done: Vec<_> = app.topic(&DONE).sent().into_iter().collect();
        done.sort_by_key(|done| done.value);
        assert_eq!(done.len(), 10, "without any wait, by one agent");
        assert_eq!(done[3].value, Some(3));
        assert_eq!(done[3].key.as_deref(), Some("orders"));

        let again = redriven(&app, &args()).await.unwrap();
        assert_eq!(sent(&again), [("shop.pay.retry.30s", 10)]);
        assert!(again.to_string().contains("another redrive"), "{again}");
        app.stop().await.unwrap();
    });
}

#[test]
fn filters_and_the_limit_choose_and_a_dry_run_sends_nothing() {
    block_on(async {
        let app = with_letters().await;
        let before = app.topic(&FIRST).sent_raw().len();
        let chosen = RedriveArgs {
            agent: Some("pay".to_owned()),
            reason: Some("money for 7".to_owned()),
            key: Some("7".to_owned()),
            from: Some("1h".to_owned()),
            dry_run: true,
            ..args()
        };
        let report = redriven(&app, &chosen).await.unwrap();
        assert_eq!((report.read, report.filtered), (20, 19));
        let text = report.to_string();
        assert!(text.contains("no money for 7"), "{text}");
        assert!(
            text.contains("would send to `shop.pay.retry.30s`: 1"),
            "{text}"
        );
        assert_eq!(app.topic(&FIRST).sent_raw().len(), before);

        for (args, passed_over) in [
            (
                RedriveArgs {
                    key: Some("8".to_owned()),
                    ..chosen_by_reason()
                },
                20,
            ),
            (
                RedriveArgs {
                    to: Some("1h".to_owned()),
                    ..args()
                },
                20,
            ),
            (
                RedriveArgs {
                    from: Some("2030-01-01T00:00:00Z".to_owned()),
                    ..args()
                },
                20,
            ),
        ] {
            let report = redriven(&app, &args).await.unwrap();
            assert_eq!(report.filtered, passed_over, "{args:?}");
        }
        let some = RedriveArgs {
            agent: Some("pay".to_owned()),
            limit: Some(3),
            ..args()
        };
        let report = redriven(&app, &some).await.unwrap();
        assert_eq!(sent(&report), [("shop.pay.retry.30s", 3)]);
        assert!(
            report.to_string().contains("the limit is reached"),
            "{report}"
        );
        app.settle().await;
        assert_eq!(app.topic(&DONE).sent().len(), 3);
        app.stop().await.unwrap();
    });
}

fn chosen_by_reason() -> RedriveArgs {
    RedriveArgs {
        reason: Some("money for 7".to_owned()),
        ..args()
    }
}

#[test]
fn to_source_goes_where_the_record_was_and_everybody_sees_it() {
    block_on(async {
        let app = with_letters().await;
        let back = RedriveArgs {
            to_source: true,
            agent: Some("count".to_owned()),
            key: Some("7".to_owned()),
            ..args()
        };
        let report = redriven(&app, &back).await.unwrap();
        assert_eq!(sent(&report), [("orders", 1)]);
        app.settle().await;
        let sent = app.topic(&ORDERS).sent();
        assert_eq!((sent[0].key, sent[0].value), (Some(7), Some(7)));
        assert!(sent[0].headers.is_empty());
        assert_eq!(app.topic(&DONE).sent().len(), 2, "both agents");
        app.stop().await.unwrap();
    });
}

#[test]
fn what_cannot_go_back_is_told() {
    block_on(async {
        let app = with_letters().await;
        for (args, part) in [
            (
                RedriveArgs {
                    agent: Some("count".to_owned()),
                    ..args()
                },
                "agent `count` has no retry topics; add `retry_topics([..])`",
            ),
            (
                RedriveArgs {
                    agent: Some("pya".to_owned()),
                    ..args()
                },
                "did you mean `pay`?",
            ),
            (
                RedriveArgs {
                    topic: "leters".to_owned(),
                    ..args()
                },
                "did you mean `letters`?",
            ),
            (
                RedriveArgs {
                    from: Some("yesterday".to_owned()),
                    ..args()
                },
                "`yesterday` is no time",
            ),
        ] {
            let error = redriven(&app, &args).await.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let mut headers = Headers::new();
        for (name, value) in [("agent", "pay"), ("stage", "produce"), ("topic", "done")] {
            headers.push(format!("{DEAD_LETTER_HEADERS}{name}"), Some(value));
        }
        app.topic(&LETTERS).push_to(0, None, b"1", headers);
        app.topic(&LETTERS).push_raw(None, b"junk");
        let report = redriven(&app, &args()).await.unwrap().to_string();
        assert!(
            report.contains("outputs of agent `pay` that topic `done` refused"),
            "{report}"
        );
        assert!(report.contains("no dead letters"), "{report}");
        app.stop().await.unwrap();
    });
}

/// The real client on the embedded broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_client_reads_to_the_end_it_saw_and_sends() {
    use crate::transport::rdkafka::{EmbeddedOptions, KafkaTransport};

    let kafka = KafkaTransport::embedded(EmbeddedOptions::default()).unwrap();
    let transport: Arc<dyn Transport> = Arc::new(kafka);
    for topic in ["letters", "shop.pay.retry.30s"] {
        transport.create_topic(topic, 3).unwrap();
    }
    let producer = transport
        .start_producer(ProducerSpec {
            name: "test".to_owned(),
            client_id: "test".to_owned(),
            settings: BTreeMap::new(),
        })
        .unwrap();
    let names = crate::config::TopicNames::default();
    let sender = Arc::new(Sender::new([("default", producer)], names));
    let mut batch = StagedBatch::default();
    for number in 0..2000 {
        let mut writer = batch.record(0);
        writer.key_bytes(format!("k{number}").as_bytes());
        for (name, value) in [
            ("agent", "pay"),
            ("topic", "orders"),
            ("partition", "0"),
            ("offset", "5"),
            ("reason", "no money"),
        ] {
            let name = format!("{DEAD_LETTER_HEADERS}{name}");
            writer.header(&name, Some(value.as_bytes()));
        }
        writer.finish(Some(b"1"));
    }
    let letters = OutputTarget {
        id: LETTERS.id(),
        topic: TopicInfo::of(&LETTERS).output(),
    };
    let table = OutputTable::new(vec![letters], Schemas::none());
    sender.send_table(&table, batch).await.unwrap();

    let (program, settings) = (app(&Broken::default()), settings());
    let redriven = async |args: RedriveArgs| {
        let clock = Clock::system();
        let (program, settings) = (&program, &settings);
        let tool = run(
            program,
            settings,
            &args,
            Clusters::unnamed(transport.clone()),
            pending(),
            &clock,
        );
        let patience = Duration::from_secs(60);
        tokio::time::timeout(patience, tool).await.unwrap().unwrap()
    };
    let report = redriven(args()).await;
    assert_eq!(report.read, 2000);
    assert_eq!(sent(&report), [("shop.pay.retry.30s", 2000)]);
    let missing = redriven(RedriveArgs {
        key: Some("nobody".to_owned()),
        ..args()
    })
    .await;
    assert_eq!((missing.read, missing.filtered), (2000, 2000));
    let asked = transport.clone();
    let ends = tokio::task::spawn_blocking(move || ends(&asked))
        .await
        .unwrap();
    assert_eq!(ends, 2000);
}

/// How many records the retry topic has, and that a consumer hears of every end.
fn ends(transport: &Arc<dyn Transport>) -> i64 {
    #[derive(Debug)]
    struct Ends(std::sync::mpsc::Sender<i64>);
    impl ConsumerEvents for Ends {
        fn assigned(&mut self, _: &mut dyn Control, new: &[TopicPartition]) -> Vec<Start> {
            new.iter().map(|_| Start::Beginning).collect()
        }
        fn revoke_begin(&mut self, _: &[TopicPartition], _: bool) -> Drain {
            Drain::default()
        }
        fn revoke_end(&mut self, _: &mut dyn Control, _: &[TopicPartition], _: bool) {}
        fn records(&mut self, _: &mut dyn Control, _: Chunk) {}
        fn reached_end(&mut self, _: &TopicPartition, next: i64) {
            // The test has what it wants.
            let _ = self.0.send(next);
        }
        fn tick(&mut self, _: &mut dyn Control) -> Pace {
            Pace {
                wait: Duration::from_millis(100),
                take: true,
            }
        }
        fn committed(&mut self, _: &[(TopicPartition, i64)], _: Result<(), TransportError>) {}
        fn error(&mut self, _: TransportError) {}
        fn skipped(&mut self, _: &TopicPartition, _: i64, _: i64) {}
        fn created_anew(&mut self, _: &TopicPartition, _: i64, _: i64) {}
        fn statistics(&mut self, _: &str) {}
        fn closed(&mut self) {}
    }
    let (send, heard) = std::sync::mpsc::channel();
    let spec = ConsumerSpec {
        name: "ends".to_owned(),
        group: None,
        client_id: "ends".to_owned(),
        topics: vec!["shop.pay.retry.30s".to_owned()],
        settings: BTreeMap::new(),
        ends: true,
        max_chunk: 1000,
        drain: Duration::ZERO,
    };
    let handle = transport
        .start_consumer(spec, Box::new(Ends(send)))
        .unwrap();
    let next = || heard.recv_timeout(Duration::from_secs(30)).unwrap();
    let total = (0..3).map(|_| next()).sum();
    handle.close(Duration::from_secs(1));
    total
}
