//! Reads without a group: what a topic holds, as a stream.

use citizenk::{Event, Position, Read, ReadError, Reader};

use super::*;

/// Where a case finds the service's reader.
#[derive(Clone, Default)]
struct Readers(Arc<Mutex<Option<Reader>>>);

#[citizenk::on_event(startup)]
async fn lend(reader: Reader, State(readers): State<Readers>) {
    *readers.0.lock().unwrap() = Some(reader);
}

/// A service without agents, so that nobody but the reader reads.
async fn reader(world: &mut World) -> Reader {
    let readers = Readers::default();
    let app = App::new("conformance")
        .topic(&ORDERS)
        .topic(&LETTERS)
        .state(readers.clone())
        .register::<lend>();
    world.start(app).await;
    world
        .until("the start", || readers.0.lock().unwrap().is_some())
        .await;
    let reader = readers.0.lock().unwrap().clone();
    reader.unwrap()
}

async fn ids(read: Read<Order>) -> Vec<u32> {
    let orders = read.stream().all().await.unwrap();
    orders.iter().map(|order| order.value.id).collect()
}

async fn sorted(read: Read<Order>) -> Vec<u32> {
    let mut ids = ids(read).await;
    ids.sort_unstable();
    ids
}

/// Orders with these ids, spread over the partitions.
fn push_on(world: &World, partitions: i32, ids: std::ops::Range<u32>) {
    let order = |id: u32| {
        Push::order(id)
            .on(id as i32 % partitions)
            .at(1_700_000_000_000 + i64::from(id) * 1000)
    };
    world.push("orders", ids.map(order));
}

pub(crate) async fn everything_up_to_the_end_is_read(broker: Broker) {
    let mut world = broker.open(&[("orders", 3), ("letters", 1)]).await;
    let reader = reader(&mut world).await;
    assert!(ids(reader.topic(&ORDERS)).await.is_empty());
    push_on(&world, 3, 0..3000);
    let mut stream = reader.topic(&ORDERS).stream();
    let first = stream.next().await.unwrap().unwrap();
    // What comes after the start of a read is not waited for, nor read.
    push_on(&world, 3, 3000..3300);
    let mut seen = vec![Vec::new(); 3];
    seen[first.partition() as usize].push(first.offset());
    while let Some(order) = stream.next().await {
        let order = order.unwrap();
        seen[order.partition() as usize].push(order.offset());
    }
    let each: Vec<i64> = (0..1000).collect();
    assert_eq!(
        seen,
        vec![each; 3],
        "each once, in the order of its partition"
    );
    let progress = stream.progress();
    assert_eq!(
        (progress.records, progress.offsets, progress.passed),
        (3000, 3000, 3000)
    );
    let two = sorted(reader.topic(&ORDERS).partition(2).partition(0)).await;
    let expected: Vec<u32> = (0..3300).filter(|id| id % 3 != 1).collect();
    assert_eq!(two, expected);
    world.stop().await.unwrap();
}

pub(crate) async fn the_newest_records_are_read(broker: Broker) {
    let mut world = broker.open(&[("orders", 3), ("letters", 1)]).await;
    let reader = reader(&mut world).await;
    push_on(&world, 3, 0..100);
    let newest = reader.topic(&ORDERS).last(10);
    assert_eq!(ids(newest).await, (90..100).collect::<Vec<u32>>());
    let each = reader.topic(&ORDERS).last_each(2);
    assert_eq!(ids(each).await, [96, 99, 94, 97, 95, 98]);
    let one = reader.topic(&ORDERS).partition(1).last(3);
    assert_eq!(ids(one).await, [91, 94, 97]);
    let before = reader
        .topic(&ORDERS)
        .partition(1)
        .last(2)
        .to(Position::Offset(5));
    assert_eq!(ids(before).await, [10, 13]);
    assert_eq!(ids(reader.topic(&ORDERS).last(1000)).await.len(), 100);
    world.stop().await.unwrap();
}

pub(crate) async fn a_range_of_offsets_is_read(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let reader = reader(&mut world).await;
    world.push_orders(0..50);
    let range = |from, to| {
        let read = reader.topic(&ORDERS).from(Position::Offset(from));
        read.to(Position::Offset(to))
    };
    assert_eq!(ids(range(10, 13)).await, [10, 11, 12]);
    // There is nothing behind the end, and it is not waited for.
    assert_eq!(ids(range(48, 1000)).await, [48, 49]);
    assert!(ids(range(60, 70)).await.is_empty());
    assert!(ids(range(5, 5)).await.is_empty());
    assert!(ids(range(9, 2)).await.is_empty());
    let from_the_end = reader.topic(&ORDERS).from(Position::Latest);
    assert!(ids(from_the_end).await.is_empty());
    world.stop().await.unwrap();
}

pub(crate) async fn a_span_of_time_is_read_where_the_broker_knows_times(broker: Broker) {
    let knows = !matches!(broker, Broker::Embedded);
    let mut world = broker.open(&[("orders", 3), ("letters", 1)]).await;
    let reader = reader(&mut world).await;
    push_on(&world, 3, 0..100);
    let at = |id: i64| {
        let time = DateTime::from_timestamp_millis(1_700_000_000_000 + id * 1000);
        Position::Time(time.unwrap())
    };
    if knows {
        let span = reader.topic(&ORDERS).from(at(20)).to(at(30));
        assert_eq!(sorted(span).await, (20..30).collect::<Vec<u32>>());
        let since = reader.topic(&ORDERS).from(at(95));
        assert_eq!(sorted(since).await, [95, 96, 97, 98, 99]);
        assert!(ids(reader.topic(&ORDERS).from(at(1000))).await.is_empty());
        let before = reader.topic(&ORDERS).last(2).to(at(50));
        assert_eq!(ids(before).await, [48, 49]);
    } else {
        let refused = reader.topic(&ORDERS).from(at(20)).stream().all().await;
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.ends_with("finding offsets by time is not available on the embedded broker"),
            "{refused}"
        );
    }
    world.stop().await.unwrap();
}

pub(crate) async fn values_tombstones_and_bytes_are_read(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let reader = reader(&mut world).await;
    world.push(
        "orders",
        [
            Push::order(1).header("tenant", "a"),
            Push::tombstone().key(1).on(0),
            Push::value("no JSON").on(0),
            Push::order(4),
        ],
    );
    let mut stream = reader.topic(&ORDERS).stream();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!((first.value.id, first.offset()), (1, 0));
    assert_eq!(first.key::<u32>().unwrap(), Some(1));
    assert_eq!(first.headers().text("tenant"), Some("a"));
    let broken = stream.next().await.unwrap().unwrap_err();
    assert!(!broken.is_final());
    let ReadError::Decode {
        topic,
        partition,
        offset,
        ..
    } = broken
    else {
        panic!("{broken}");
    };
    assert!(topic.ends_with("orders"), "{topic}");
    assert_eq!((partition, offset), (0, 2));
    assert_eq!(stream.next().await.unwrap().unwrap().value.id, 4);
    assert!(stream.next().await.is_none());
    assert_eq!(stream.progress().records, 4, "tombstones are read too");

    let with = reader.topic(&ORDERS).tombstones().to(Position::Offset(2));
    let with = with.stream().all().await.unwrap();
    assert_eq!(with.len(), 2);
    assert_eq!(with[1].value, None);
    let bytes = reader
        .topic(&ORDERS)
        .undecoded()
        .stream()
        .all()
        .await
        .unwrap();
    let value = |event: &Event<Option<RawBytes>>| event.value.clone().map(|bytes| bytes.0);
    assert_eq!(value(&bytes[1]), None);
    assert_eq!(value(&bytes[2]), Some(b"no JSON".to_vec()));
    // By its name on the broker, whatever the program knows.
    let raw = reader.raw(topic).last(1).stream().all().await.unwrap();
    assert_eq!(value(&raw[0]), Some(br#"{"id":4}"#.to_vec()));
    world.stop().await.unwrap();
}

pub(crate) async fn a_follower_sees_what_comes(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let reader = reader(&mut world).await;
    world.push_orders(0..10);
    let mut stream = reader.topic(&ORDERS).last(2).follow().stream();
    let mut seen = Vec::new();
    for batch in 0..3 {
        let expected = 2 + batch * 5;
        while seen.len() < expected {
            seen.push(stream.next().await.unwrap().unwrap().value.id);
        }
        let next = 10 + batch as u32 * 5;
        world.push_orders(next..next + 5);
    }
    assert_eq!(seen, (8..20).collect::<Vec<u32>>());
    drop(stream);
    world.stop().await.unwrap();
}

pub(crate) async fn what_is_not_there_is_named(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let reader = reader(&mut world).await;
    // Asking does not make it, though this broker makes topics that are written to.
    let name = format!("nobody-made-it-{}", std::process::id());
    for _ in 0..3 {
        let no_topic = reader.raw(name.as_str()).stream().all().await;
        assert_eq!(
            no_topic.unwrap_err().to_string(),
            format!("topic `{name}` does not exist on the cluster")
        );
    }
    let no_partition = reader.topic(&ORDERS).partition(7).stream().all().await;
    let no_partition = no_partition.unwrap_err().to_string();
    assert!(
        no_partition.contains("has no partition 7; it has 1, numbered from 0"),
        "{no_partition}"
    );
    const WRITTEN: Topic<Order, u32> = Topic::json_output("orders");
    world.push_orders([1]);
    let written = reader.topic(&WRITTEN).stream().all().await.unwrap_err();
    assert!(matches!(written, ReadError::OutputOnly { .. }), "{written}");
    world.stop().await.unwrap();
}

#[citizenk::agent(topics = [ORDERS])]
async fn compare(
    order: Event<Order>,
    reader: Reader,
    State(seen): State<Seen>,
) -> citizenk::Result<()> {
    let newest = reader.topic(&ORDERS).last(1).stream().all().await?;
    seen.say(format!("{} of {}", order.value.id, newest[0].value.id));
    Ok(())
}

pub(crate) async fn a_reader_is_no_member_of_any_group(broker: Broker) {
    let mut world = broker.open(&ALL).await;
    let seen = Seen::default();
    world.push_orders(0..3);
    world
        .start(app(&seen, &Gate::closed()).register::<compare>())
        .await;
    // The handler reads what its own group has not committed yet, and takes nothing from it.
    let all = seen.until(&world, 3).await;
    assert_eq!(all, ["0 of 2", "1 of 2", "2 of 2"]);
    world.until_at(3).await;
    world.stop().await.unwrap();
}
