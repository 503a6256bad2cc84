//! What a program on rdkafka's own consumer and producer looks like, written well: records one by one,
//! deliveries awaited thousands at a time.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;

use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord};

use super::Run;
use crate::counts::Counts;
use crate::reading::{Converted, Reading};
use crate::settings::{self, WINDOW};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn consumer(run: &Run, tuned: bool) -> Result<StreamConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &run.servers)
        .set("group.id", &run.group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    let (key, value) = settings::fetch_wait(run.embedded);
    if run.embedded || tuned {
        config.set(key, value);
    }
    if tuned {
        for (key, value) in settings::CONSUMER {
            config.set(key, value);
        }
    }
    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&[&run.topic])?;
    Ok(consumer)
}

fn producer(run: &Run) -> Result<FutureProducer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &run.servers);
    for (key, value) in settings::PRODUCER {
        config.set(key, value);
    }
    // As the other contestants' keys choose their partition.
    config.set("partitioner", "murmur2_random");
    Ok(config.create()?)
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

pub(super) fn consume(run: &Run, counts: &Counts, tuned: bool) -> Result<()> {
    block_on(async {
        let consumer = consumer(run, tuned)?;
        while !counts.is_done() {
            let message = consumer.recv().await?;
            let payload = message.payload().ok_or("a record without value")?;
            black_box(serde_json::from_slice::<Reading>(payload)?);
            counts.count();
        }
        consumer.commit_consumer_state(CommitMode::Sync)?;
        Ok(())
    })
}

/// Deliveries under way, oldest first.
struct Window<'a> {
    producer: &'a FutureProducer,
    topic: &'a str,
    pending: VecDeque<DeliveryFuture>,
}

impl<'a> Window<'a> {
    fn new(producer: &'a FutureProducer, topic: &'a str) -> Self {
        Self {
            producer,
            topic,
            pending: VecDeque::with_capacity(WINDOW),
        }
    }

    async fn send(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.pending.len() == WINDOW {
            self.oldest().await?;
        }
        loop {
            let record = FutureRecord::to(self.topic).key(key).payload(value);
            match self.producer.send_result(record) {
                Ok(delivery) => {
                    self.pending.push_back(delivery);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.oldest().await?;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    async fn oldest(&mut self) -> Result<()> {
        if let Some(delivery) = self.pending.pop_front() {
            let result: OwnedDeliveryResult = delivery.await?;
            result.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    async fn rest(&mut self) -> Result<()> {
        while !self.pending.is_empty() {
            self.oldest().await?;
        }
        Ok(())
    }
}

pub(super) fn produce(run: &Run, counts: &Counts) -> Result<()> {
    block_on(async {
        let producer = producer(run)?;
        let mut window = Window::new(&producer, &run.topic);
        for sequence in 0..run.records {
            let reading = Reading::nth(sequence, run.bytes);
            let key = reading.sensor.to_string();
            window
                .send(key.as_bytes(), &serde_json::to_vec(&reading)?)
                .await?;
            counts.count();
        }
        window.rest().await
    })
}

pub(super) fn transform(run: &Run, counts: &Counts) -> Result<()> {
    block_on(async {
        let consumer = consumer(run, true)?;
        let producer = producer(run)?;
        let mut window = Window::new(&producer, &run.output);
        while !counts.is_done() {
            let message = consumer.recv().await?;
            let payload = message.payload().ok_or("a record without value")?;
            let converted = Converted::from(serde_json::from_slice::<Reading>(payload)?);
            let value = serde_json::to_vec(&converted)?;
            window
                .send(message.key().unwrap_or_default(), &value)
                .await?;
            counts.count();
        }
        window.rest().await?;
        consumer.commit_consumer_state(CommitMode::Sync)?;
        Ok(())
    })
}
