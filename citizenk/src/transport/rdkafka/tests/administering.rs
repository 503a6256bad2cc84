//! Administration.

use std::task::{Context, Wake, Waker};

use ::rdkafka::bindings as rd;
use ::rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::*;
use crate::admin::{AdminReply, ConfigChange, NewTopic};
use crate::config::TopicNames;
use crate::runtime::clusters::Clusters;

/// Kafka's number of this request.
const OFFSET_FETCH: i16 = 9;

fn wait<T>(reply: impl std::future::Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, reply).await });
    answered.expect("in time")
}

#[test]
fn a_question_to_nobody_ends_at_its_timeout() {
    let settings = map(&[("bootstrap.servers", "127.0.0.1:1")]);
    let transport = KafkaTransport::new(settings).expect("nothing is connected yet");
    let admin = Transport::admin(&transport).expect("starts");
    // The answer comes even when nobody could ask again.
    let reply = admin.groups(Duration::from_millis(300));
    drop((admin, transport));
    let error = wait(reply).expect_err("nobody is there");
    assert!(error.retriable, "{error}");
}

/// Tells which thread wakes whoever waits for an answer.
struct Woken(Mutex<Sender<String>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name").to_owned();
        let _ = client::lock(&self.0).send(name);
    }
}

fn answered_by<T>(mut reply: AdminReply<T>) -> String {
    let (sender, woken) = channel();
    let waker = Waker::from(Arc::new(Woken(Mutex::new(sender))));
    let mut context = Context::from_waker(&waker);
    let mut by = "nobody".to_owned();
    while reply.as_mut().poll(&mut context).is_pending() {
        by = woken.recv_timeout(PATIENCE).expect("an answer");
    }
    by
}

/// Every request that goes to a cluster, beside a consumer of the same connection.
#[test]
fn no_request_is_answered_on_a_consumers_thread() {
    let settings = map(&[("bootstrap.servers", "127.0.0.1:1")]);
    let transport = KafkaTransport::new(settings).expect("nothing is connected yet");
    let consumer = Consumer::start(&transport, spec(Some("g"), &["t"]));
    let admin = Transport::admin(&transport).expect("starts");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().thread_name("pool").build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let limit = Duration::from_millis(200);
    let (name, names) = (|| "t".to_owned(), || vec!["t".to_owned()]);
    let on_queue = [
        answered_by(admin.cluster(limit)),
        answered_by(admin.describe_topics(names(), limit)),
        answered_by(admin.create_topic(NewTopic::new("t"), false, limit)),
        answered_by(admin.delete_topic(name(), limit)),
        answered_by(admin.add_partitions(name(), 2, limit)),
        answered_by(admin.topic_configs(names(), limit)),
        answered_by(admin.alter_configs(name(), vec![ConfigChange::reset("a")], limit)),
        answered_by(admin.groups(limit)),
        answered_by(admin.describe_group(name(), limit)),
        answered_by(admin.delete_group(name(), limit)),
        answered_by(admin.committed(name(), limit)),
        answered_by(admin.settled(name(), vec![TopicPartition::new("t", 0)], limit)),
        answered_by(admin.alter_offsets(name(), vec![(TopicPartition::new("t", 0), 1)], limit)),
    ];
    assert!(on_queue.iter().all(|by| by == "ck-admin"), "{on_queue:?}");
    let blocking = [
        answered_by(admin.topics(limit)),
        answered_by(admin.list_offsets(name(), vec![0], Spot::End, limit)),
    ];
    assert!(blocking.iter().all(|by| by == "pool"), "{blocking:?}");
    consumer.close(PATIENCE);
}

#[test]
fn the_embedded_broker_administers_what_it_can() {
    let transport: Arc<dyn Transport> = Arc::new(broker());
    let admin = crate::app::topics::admin(&Clusters::unnamed(transport), &TopicNames::default());
    wait(async {
        let topic = NewTopic::new("t").partitions(3);
        admin.create_topic(topic.clone()).await.expect("created");
        let described = admin.describe_topic("t").await.expect("described");
        assert_eq!(described.partitions.len(), 3);
        assert!(described.under_replicated().is_empty(), "{described:?}");
        assert_eq!(admin.watermarks("t").await.expect("asked").len(), 3);
        let listed = admin.topics().await.expect("listed");
        assert_eq!(listed[0].name, "t");
        let refusals = [
            admin.cluster().await.expect_err("refused"),
            admin.delete_topic("t").await.expect_err("refused"),
            admin.add_partitions("t", 9).await.expect_err("refused"),
            admin.topic_configs("t").await.expect_err("refused"),
            admin.groups().await.expect_err("refused"),
            admin.describe_group("g").await.expect_err("refused"),
            admin.delete_group("g").await.expect_err("refused"),
            admin.group_offsets("g").await.expect_err("refused"),
            admin
                .offsets_at("t", chrono::DateTime::UNIX_EPOCH)
                .await
                .expect_err("refused"),
            admin
                .create_topic(NewTopic::new("u").replication(1))
                .await
                .expect_err("refused"),
        ];
        for error in refusals {
            assert_eq!(error.kind, crate::admin::AdminErrorKind::Unsupported);
            let text = error.to_string();
            assert!(
                text.contains("not available on the embedded broker"),
                "{text}"
            );
        }
        let missing = admin.describe_topic("nowhere").await.expect_err("missing");
        assert_eq!(missing.kind, crate::admin::AdminErrorKind::NotFound);
    });
}

#[test]
fn a_quiet_connection_is_heard_of_on_the_embedded_broker_too() {
    let transport = broker();
    let light = transport.light().expect("starts");
    transport.topics(None, PATIENCE).expect("answered");
    let asked = Instant::now();
    assert!(admin::probe(light.client(), true), "no answer");
    let heard = transport.last_contact().expect("contact");
    let asked = asked.elapsed();
    assert!(heard < asked, "heard {heard:?} ago, asked {asked:?} ago");
}

#[test]
fn a_groups_coordinator_that_moved_is_found() {
    let embedded = KafkaTransport::embedded(EmbeddedOptions { brokers: 3 }).expect("embedded");
    embedded.create_topic("t", 1).expect("created");
    let broker = embedded.embedded.as_ref().expect("embedded");
    let servers = embedded.bootstrap_servers();
    let settings = map(&[("bootstrap.servers", servers)]);
    let transport = Arc::new(KafkaTransport::new(settings).expect("a transport"));
    let admin = crate::app::topics::admin(
        &Clusters::unnamed(transport.clone()),
        &TopicNames::default(),
    );
    let coordinator = |id: i32| {
        // SAFETY: the cluster is alive, the texts are terminated and copied.
        unsafe {
            let (kind, group) = (c"group".as_ptr(), c"g".as_ptr());
            rd::rd_kafka_mock_coordinator_set(broker.cluster(), kind, group, id);
        }
    };
    let move_to = |offset: i64, limit: Duration| {
        let port = Transport::admin(&*transport).expect("a port");
        let offsets = vec![(TopicPartition::new("t", 0), offset)];
        let moved = wait(port.alter_offsets("g".to_owned(), offsets, limit));
        moved.map(|mut each| each.remove(0).expect("moved"))
    };
    // The mock broker does not list what a group has committed; that it answers is what counts.
    let answered = || wait(admin.group_offsets("g")).expect("answered");
    coordinator(3);
    move_to(5, PATIENCE).expect("moved");
    answered();
    // A broker says that it no longer is it.
    let moved = [Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR];
    super::transactions::errors(&embedded, OFFSET_FETCH, &moved);
    assert_eq!(wait(admin.group_offsets("unheard-of")), Ok(Vec::new()));
    // It is gone, and another one is it.
    // SAFETY: the cluster is alive.
    unsafe { rd::rd_kafka_mock_broker_set_down(broker.cluster(), 3) };
    coordinator(2);
    answered();
    Transport::admin(&*transport)
        .expect("a port")
        .forget_coordinators();
    move_to(6, PATIENCE).expect("moved");
    answered();
}

/// librdkafka sends what was given up, once a coordinator is back, and ends the program with it (issue 4605).
#[test]
fn a_coordinator_may_come_back_when_nobody_waits_for_its_answer_any_more() {
    let embedded = broker();
    let settings = map(&[("bootstrap.servers", embedded.bootstrap_servers())]);
    let transport = KafkaTransport::new(settings).expect("nothing is connected yet");
    let broker = embedded.embedded.as_ref().expect("embedded");
    let admin = Transport::admin(&transport).expect("starts");
    wait(admin.topics(PATIENCE)).expect("connected");
    broker.set_down(true);
    for group in ["a", "b", "c"] {
        let asked = Instant::now();
        let reply = admin.describe_group(group.to_owned(), Duration::from_millis(200));
        let error = wait(reply).expect_err("nobody is there");
        assert_eq!(error.code, "_TIMED_OUT", "{error}");
        assert!(error.retriable, "{error}");
        assert!(asked.elapsed() >= Duration::from_millis(200));
    }
    broker.set_down(false);
    // The same client, and a new one: the embedded broker describes no groups, which both are told.
    for admin in [admin, Transport::admin(&transport).expect("starts")] {
        let error = wait(admin.describe_group("d".to_owned(), PATIENCE)).expect_err("not there");
        assert_ne!(error.code, "_TIMED_OUT", "{error}");
    }
}
