//! Bounded reads by the real client: what the broker sees of them, what is left of them, and where they end.

use tokio::runtime::Runtime;

use super::real::{cluster, fresh};
use super::transactions::{SURE, Worker};
use super::*;
use crate::codec::RawBytes;
use crate::extract::{Read, Reader};
use crate::runtime::produce::TopicNames;
use crate::runtime::read::Reads;
use crate::schema::Schemas;

fn reader(transport: &Arc<KafkaTransport>) -> Reader {
    Reader::new(
        Arc::new(Reads {
            transport: transport.clone(),
            settings: BTreeMap::new(),
            client_id: "reads".to_owned(),
            names: TopicNames::default(),
        }),
        Schemas::none(),
    )
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads")
}

/// All values of the read, within a time.
fn read(runtime: &Runtime, read: Read<Option<RawBytes>>) -> Vec<usize> {
    let all = runtime.block_on(async { tokio::time::timeout(PATIENCE, read.stream().all()).await });
    let all = all.expect("in time").expect("no error");
    let value = |event: crate::Event<Option<RawBytes>>| {
        let bytes = event.value.expect("no tombstone").0;
        String::from_utf8(bytes)
            .expect("text")
            .parse()
            .expect("a number")
    };
    all.into_iter().map(value).collect()
}

#[test]
fn the_broker_sees_no_group_of_a_read() {
    const LIST_OFFSETS: i16 = 2;
    const FETCH: i16 = 1;
    /// OffsetCommit, OffsetFetch, FindCoordinator, JoinGroup, Heartbeat, LeaveGroup, SyncGroup,
    /// DescribeGroups, ListGroups, ConsumerGroupHeartbeat.
    const GROUPS: [i16; 10] = [8, 9, 10, 11, 12, 13, 14, 15, 16, 68];
    let transport = Arc::new(broker());
    transport.create_topic("a", 2).expect("created");
    fill(&transport, "a", 0, 0..100);
    let broker = transport.embedded.as_ref().expect("embedded");
    count_requests(broker);
    let (runtime, reader) = (runtime(), reader(&transport));
    assert_eq!(read(&runtime, reader.raw("a")).len(), 100);
    assert_eq!(read(&runtime, reader.raw("a").last(3)), [97, 98, 99]);
    let seen = requests(broker);
    assert!(
        seen.contains_key(&FETCH) && seen.contains_key(&LIST_OFFSETS),
        "{seen:?}"
    );
    for kind in GROUPS {
        assert!(!seen.contains_key(&kind), "{seen:?}");
    }
    // A member of a group is seen, so that the absence above says something.
    let member = Consumer::start(&transport, spec(Some("g"), &["a"]));
    assert_eq!(member.assigned().len(), 2);
    assert!(requests(broker).contains_key(&10), "FindCoordinator");
    member.close(PATIENCE);
}

/// Threads of this process whose name begins so.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|found| found.starts_with(name))
        .count()
}

#[test]
fn a_dropped_read_leaves_no_thread() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let transport = Arc::new(broker());
    transport.create_topic("zz", 4).expect("created");
    for partition in 0..4 {
        fill(&transport, "zz", partition, 0..5000);
    }
    let (runtime, reader) = (runtime(), reader(&transport));
    let start = Instant::now();
    runtime.block_on(async {
        for _ in 0..5 {
            let mut endless = reader.raw("zz").follow().stream();
            endless.next().await.expect("a record").expect("no error");
            assert!(threads("ck-read-zz") > 0);
        }
    });
    println!("five reads begun and dropped: {:?}", start.elapsed());
    let start = Instant::now();
    while threads("ck-read-zz") > 0 {
        assert!(start.elapsed() < PATIENCE, "threads are left");
        std::thread::yield_now();
    }
    println!("threads gone after {:?}", start.elapsed());
    // What a stream gave can be kept.
    drop(transport);
}

#[test]
fn a_bounded_read_ends_at_marks_aborts_and_open_transactions() {
    let Some(transport) = cluster() else { return };
    let transport = Arc::new(transport);
    let out = fresh("reads");
    fill(&transport, &out, 0, 0..1);
    let mut worker = Worker::ready(&transport, &fresh("worker"), &out);
    // Each of these is one record and one mark.
    for value in 1..6 {
        worker.begin();
        worker.send(value..value + 1);
        assert_eq!(worker.commit().expect("committed"), SURE);
    }
    for value in 100..103 {
        worker.begin();
        worker.send(value..value + 1).wait(1);
        assert_eq!(worker.abort().expect("aborted"), SURE);
    }
    let (runtime, reader) = (runtime(), reader(&transport));
    // The topic ends with aborted records and marks.
    let all = || read(&runtime, reader.raw(out.as_str()).partition(0));
    assert_eq!(all(), [0, 1, 2, 3, 4, 5]);
    let newest = |count| read(&runtime, reader.raw(out.as_str()).last(count));
    assert_eq!(newest(4), [2, 3, 4, 5], "as many as were asked for");
    assert_eq!(newest(100), [0, 1, 2, 3, 4, 5]);
    // What is behind an open transaction cannot be read yet, and is not waited for.
    worker.begin();
    worker.send(200..201).wait(1);
    fill(&transport, &out, 0, 300..301);
    assert_eq!(all(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(newest(1), [5]);
    assert_eq!(worker.commit().expect("committed"), SURE);
    // The coordinator answers before the partition has its mark.
    let start = Instant::now();
    while all() != [0, 1, 2, 3, 4, 5, 200, 300] {
        assert!(start.elapsed() < PATIENCE, "the end does not move on");
    }
}

/// As agents do that start at once.
#[test]
fn the_ends_of_many_topics_are_one_question() {
    const TOPICS: usize = 200;
    const LIST_OFFSETS: i16 = 2;
    let transport = broker();
    for number in 0..TOPICS {
        let name = format!("t{number:03}");
        transport.create_topic(&name, 2).expect("created");
    }
    fill(&transport, "t007", 1, 0..7);
    fill(&transport, "t190", 0, 0..3);
    let ids = |topic: usize| {
        let name: Arc<str> = format!("t{topic:03}").into();
        (0..2).map(move |partition| TopicPartition::new(name.clone(), partition))
    };
    let ids: Vec<TopicPartition> = (0..TOPICS).flat_map(ids).collect();
    let broker = transport.embedded.as_ref().expect("embedded");
    count_requests(broker);
    let ends = Transport::offsets(&transport, &ids, Spot::End, false, PATIENCE);
    let asked = requests(broker);
    assert_eq!(asked.get(&LIST_OFFSETS), Some(&1), "{asked:?}");
    let known = |id: &TopicPartition| match (&*id.topic, id.partition) {
        ("t007", 1) => Some(7),
        ("t190", 0) => Some(3),
        _ => Some(0),
    };
    let wanted: Vec<Option<i64>> = ids.iter().map(known).collect();
    assert_eq!(ends.expect("answered"), wanted);
    // What does not exist spoils it for all.
    let missing = [ids[0].clone(), TopicPartition::new("t007", 2)];
    let limit = Duration::from_millis(300);
    let refused = Transport::offsets(&transport, &missing, Spot::End, false, limit);
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("t007"), "{refused}");
}
