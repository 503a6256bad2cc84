//! Partitions that end with what no reader gets: aborted records and marks of transactions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use super::*;

#[citizenk::agent(topics = [COPIES])]
async fn known(_copy: Event<Job>) {}

#[citizenk::agent(topics = [JOBS], after = [known])]
async fn work_after(job: Event<Job>, State(seen): State<Seen>) -> citizenk::Result<()> {
    seen.0.send(job.value.id).await?;
    Ok(())
}

#[citizenk::agent(topics = [COPIES], group = "late", start = latest)]
async fn late(copy: Event<Job>, State(seen): State<Seen>) -> citizenk::Result<()> {
    seen.0.send(copy.value.id).await?;
    Ok(())
}

/// Transactions that leave nothing to read behind: an aborted record and a mark each.
struct Aborted(ThreadedProducer<DefaultProducerContext>, String);

impl Aborted {
    fn new(place: &Place) -> Self {
        let producer: ThreadedProducer<_> = ClientConfig::new()
            .set("bootstrap.servers", &place.servers)
            .set("transactional.id", format!("aborted-{}", place.run))
            .create()
            .unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        Self(producer, format!("copies-{}", place.run))
    }

    fn write(&self, partition: i32, transactions: usize) {
        for _ in 0..transactions {
            self.0.begin_transaction().unwrap();
            let record = BaseRecord::<[u8], _>::to(&self.1).partition(partition);
            let sent = self.0.send(record.payload("nobody reads this"));
            sent.map_err(|(error, _)| error).unwrap();
            self.0.flush(PATIENCE).unwrap();
            self.0.abort_transaction(PATIENCE).unwrap();
        }
    }

    /// One record that is read.
    fn plain(&self, partition: i32, id: u32) {
        let value = format!(r#"{{"id":{id},"text":""}}"#);
        let key = id.to_string();
        self.0.begin_transaction().unwrap();
        let record = BaseRecord::to(&self.1).partition(partition).key(&key);
        let sent = self.0.send(record.payload(&value));
        sent.map_err(|(error, _)| error).unwrap();
        self.0.commit_transaction(PATIENCE).unwrap();
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

async fn get(port: u16, path: &str) -> String {
    let path = path.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer)
    });
    within(asked).await.unwrap().unwrap_or_default()
}

/// Asks again until the answer has what is wanted.
async fn until(port: u16, path: &str, wanted: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = get(port, path).await;
        if answer.contains(wanted) {
            return;
        }
        assert!(Instant::now() < end, "{wanted} not in {answer}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_without_records_neither_stall_a_group_nor_keep_its_gates_closed() {
    let Some(mut place) = place() else { return };
    place.topics = &["jobs", "copies"];
    let aborted = Aborted::new(&place);
    // More than the client is asked to go back, and a partition with nothing else.
    aborted.plain(0, 1);
    aborted.write(0, 12);
    aborted.write(1, 1);
    let (seen, mut jobs) = mpsc::channel(100);
    let (moves, port) = (Moves::default(), free_port());
    let app = app(&seen, &moves, 0..10)
        .register::<work_after>()
        .register::<known>()
        .register::<late>();
    let address = format!("127.0.0.1:{port}");
    let flags = |flags: Flags| Flags {
        http: Some(address),
        stall_after: Some("2s".to_owned()),
        ..flags
    };
    let settings = place.settings_with("group", &[], &[], flags);
    let service = place.run_with(app, settings);
    // Each job is handled by both of its agents.
    let mut calls = Vec::new();
    while calls.len() < 20 {
        calls.push(within(jobs.recv()).await.expect("the service runs"));
    }
    until(port, "/health/ready", "HTTP/1.1 200").await;
    // Behind the end that the group began at.
    aborted.write(0, 3);
    let group = format!(
        "group=\"late\",topic=\"copies-{}\",partition=\"0\"",
        place.run
    );
    until(
        port,
        "/metrics",
        &format!("citizenk_consumer_stalled{{{group}}} 1"),
    )
    .await;
    until(
        port,
        "/metrics",
        &format!("citizenk_consumer_stalled{{{group}}} 0"),
    )
    .await;
    until(
        port,
        "/metrics",
        &format!("citizenk_consumer_lag_records{{{group}}} 0"),
    )
    .await;
    until(port, "/health/ready", "HTTP/1.1 200").await;
    aborted.plain(0, 77);
    while within(jobs.recv()).await.expect("the service runs") != 77 {}
    service.stop().await;
}
