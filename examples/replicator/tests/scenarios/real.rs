//! Two real Kafkas, a client that is not ours to write with, and the service in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use citizenk::prelude::*;
use citizenk::{Agents, Flags, Reader, RunError, Settings};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use replicator::domain::env::translate;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

const STOP: Duration = Duration::from_secs(30);

/// What the test itself asks and looks with.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) admin: Admin,
    pub(crate) agents: Agents,
    pub(crate) reader: Reader,
}

#[derive(Clone)]
struct Hand(mpsc::Sender<Tools>);

#[citizenk::on_event(startup)]
async fn hand_out(
    admin: Admin,
    agents: Agents,
    reader: Reader,
    State(hand): State<Hand>,
) -> citizenk::Result<()> {
    let tools = Tools {
        admin,
        agents,
        reader,
    };
    Ok(hand.0.send(tools).await?)
}

/// A service that runs until it is told to stop.
struct Running {
    port: u16,
    stop: Arc<Notify>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    fn start(app: App, variables: &BTreeMap<String, String>) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let flags = Flags {
            http: Some(format!("127.0.0.1:{port}")),
            ..app.flags()
        };
        let settings = Settings::resolve(flags, variables, None).unwrap();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let service = app.build_with(settings).await?;
            service
                .run_until(async move { stopped.notified().await })
                .await
        });
        Self { port, stop, task }
    }

    async fn stop(self) {
        self.stop.notify_one();
        let ended = tokio::time::timeout(STOP, self.task).await;
        ended.expect("in time").unwrap().expect("a clean stop");
    }
}

pub(crate) struct Real {
    pub(crate) tools: Tools,
    helper: Running,
    service: Option<Running>,
    producers: BTreeMap<&'static str, FutureProducer>,
    source: AdminClient<DefaultClientContext>,
}

impl Real {
    pub(crate) async fn open(source: &str, target: &str) -> Self {
        let (hand, mut given) = mpsc::channel(1);
        let app = App::new("tests")
            .cluster("source")
            .cluster("target")
            .state(Hand(hand))
            .register::<hand_out>();
        let variables = [
            ("KAFKA_SOURCE_BOOTSTRAP_SERVERS", source),
            ("KAFKA_TARGET_BOOTSTRAP_SERVERS", target),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let helper = Running::start(app, &variables);
        let tools = tokio::time::timeout(STOP, given.recv()).await;
        let producer = |servers: &str| {
            ClientConfig::new()
                .set("bootstrap.servers", servers)
                .set("linger.ms", "0")
                .set("topic.metadata.refresh.interval.ms", "500")
                .create()
                .unwrap()
        };
        Self {
            tools: tools.expect("in time").expect("handed out"),
            helper,
            service: None,
            producers: [("source", producer(source)), ("target", producer(target))].into(),
            source: ClientConfig::new()
                .set("bootstrap.servers", source)
                .create()
                .unwrap(),
        }
    }

    pub(crate) async fn start(&mut self, vars: &BTreeMap<String, String>) {
        let (options, variables) = translate(vars).unwrap();
        let running = Running::start(replicator::app(options), &variables);
        let end = tokio::time::Instant::now() + STOP;
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        while TcpStream::connect(("127.0.0.1", running.port))
            .await
            .is_err()
        {
            assert!(!running.task.is_finished(), "the service has ended");
            assert!(tokio::time::Instant::now() < end, "the service answers");
            pace.tick().await;
        }
        self.service = Some(running);
    }

    pub(crate) async fn stop(&mut self) {
        self.service.take().expect("it runs").stop().await;
    }

    pub(crate) async fn close(mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
        self.helper.stop().await;
    }

    pub(crate) async fn push(&self, cluster: &str, topic: &str, push: &crate::world::Push) {
        let mut headers = OwnedHeaders::new();
        for (key, value) in push.headers.iter() {
            headers = headers.insert(Header { key, value });
        }
        let end = tokio::time::Instant::now() + STOP;
        loop {
            let record = FutureRecord::<[u8], [u8]> {
                topic,
                partition: Some(push.partition),
                payload: push.value.as_deref(),
                key: push.key.as_deref(),
                timestamp: push.timestamp,
                headers: Some(headers.clone()),
            };
            match self.producers[cluster].send(record, STOP).await {
                Ok(_) => return,
                // A partition that was just added is heard of in time.
                Err((error, _)) => assert!(
                    error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition)
                        && tokio::time::Instant::now() < end,
                    "{error}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn truncate(&self, topic: &str, partition: i32, below: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(below))
            .unwrap();
        let options = AdminOptions::new().operation_timeout(Some(STOP));
        self.source
            .delete_records(&offsets, &options)
            .await
            .unwrap();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<String>) -> Value {
        let port = self.service.as_ref().expect("it runs").port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let body = body.unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("head and body");
        if body.is_empty() {
            assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
            return Value::Null;
        }
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}
