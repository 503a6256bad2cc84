//! `send` and `tail`: records by hand, through the topic's own format.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::App;
use super::super::service::{signalled, transport};
use super::{SendArgs, TailArgs, known_topic};
use crate::config::{Settings, merge_consumer, merge_producer};
use crate::error::{ConfigError, Excerpt, RunError};
use crate::extract::{ProduceError, ProducePort};
use crate::record::{Chunk, TopicPartition};
use crate::runtime::produce::{Port, Sender, TopicNames};
use crate::staging::StagedBatch;
use crate::topic::describe::TopicInfo;
use crate::transport::{
    ConsumerEvents, ConsumerSpec, Control, Drain, Pace, ProducerSpec, Start, TransportError,
};

pub(super) fn usage(key: &str, message: impl Into<String>) -> RunError {
    ConfigError {
        key: key.to_owned(),
        message: message.into(),
    }
    .into()
}

fn stage(topic: &TopicInfo, args: &SendArgs, value: &str) -> Result<StagedBatch, RunError> {
    if topic.internal {
        return Err(usage(
            &format!("topic `{}`", topic.name),
            "is a retry topic, which only the agent writes; send to its source",
        ));
    }
    let mut bytes = Vec::new();
    (topic.check_value)(value.as_bytes(), &mut bytes)
        .map_err(|error| usage(&format!("topic `{}`", topic.name), error.to_string()))?;
    let mut batch = StagedBatch::default();
    {
        let mut writer = batch.record(0);
        if let Some(key) = &args.key {
            writer
                .key_with(|out| (topic.key_from_text)(key, out))
                .map_err(|error| usage("--key", error.to_string()))?;
        }
        for header in &args.header {
            let (name, text) = header
                .split_once('=')
                .ok_or_else(|| usage("--header", format!("`{header}` is not NAME=VALUE")))?;
            writer.header(name, Some(text.as_bytes()));
        }
        writer.partition(args.partition).finish(Some(&bytes));
    }
    Ok(batch)
}

pub(super) async fn send(app: &App, settings: &Settings, args: SendArgs) -> Result<(), RunError> {
    let topic = known_topic(app, settings, &args.topic)?;
    let values: Vec<String> = if args.value == "-" {
        std::io::stdin()
            .lock()
            .lines()
            .collect::<Result<_, _>>()
            .map_err(|error| usage("standard input", error.to_string()))?
    } else {
        vec![args.value.clone()]
    };
    let batches: Vec<StagedBatch> = values
        .iter()
        .map(|value| stage(&topic, &args, value))
        .collect::<Result<_, _>>()?;
    let transport = transport(settings)?;
    let producer = transport.start_producer(ProducerSpec {
        name: app.name.clone(),
        client_id: format!("{}-send", app.name),
        settings: merge_producer(settings),
    })?;
    let names = TopicNames {
        renamed: settings
            .topics
            .iter()
            .map(|(name, real)| (name.clone(), real.value.clone()))
            .collect(),
        prefix: settings
            .topic_prefix
            .as_ref()
            .map(|prefix| prefix.value.clone())
            .unwrap_or_default(),
    };
    let port = Port::default();
    port.set(Some(Arc::new(Sender::new(producer, names))));
    for batch in batches {
        match port.send(topic.output(), batch).await {
            Ok(sent) => {
                for place in sent {
                    println!(
                        "{}/{}@{}",
                        settings.real_topic(topic.name),
                        place.partition,
                        place.offset
                    );
                }
            }
            Err(ProduceError::Delivery { source, .. }) => return Err(source.into()),
            Err(error) => return Err(usage("send", error.to_string())),
        }
    }
    Ok(())
}

/// Prints what it reads.
#[derive(Debug)]
struct Printer {
    from_beginning: bool,
    lines: mpsc::Sender<String>,
    failed: mpsc::Sender<TransportError>,
}

impl ConsumerEvents for Printer {
    fn assigned(&mut self, _: &mut dyn Control, partitions: &[TopicPartition]) -> Vec<Start> {
        let start = if self.from_beginning {
            Start::Beginning
        } else {
            Start::End
        };
        partitions.iter().map(|_| start).collect()
    }

    fn revoke_begin(&mut self, _: &[TopicPartition], _: bool) -> Drain {
        Drain::default()
    }

    fn revoke_end(&mut self, _: &mut dyn Control, _: &[TopicPartition], _: bool) {}

    fn records(&mut self, _: &mut dyn Control, chunk: Chunk) {
        for index in 0..chunk.len() {
            // The printing side ends by dropping its end; what comes after that is not wanted.
            let _ = self.lines.blocking_send(line(&chunk, index));
        }
    }

    fn tick(&mut self, _: &mut dyn Control) -> Pace {
        Pace {
            wait: Duration::from_secs(1),
            take: true,
        }
    }

    fn committed(&mut self, _: &[(TopicPartition, i64)], _: Result<(), TransportError>) {}

    fn error(&mut self, error: TransportError) {
        if error.fatal {
            let _ = self.failed.blocking_send(error);
        } else {
            tracing::warn!(%error, "tail");
        }
    }

    fn skipped(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        tracing::warn!(%partition, from, to, "records were deleted before they were read");
    }

    fn created_anew(&mut self, partition: &TopicPartition, from: i64, to: i64) {
        tracing::warn!(%partition, from, to, "the topic was created anew; reading it from its first record");
    }

    fn statistics(&mut self, _: &str) {}

    fn closed(&mut self) {}
}

/// `partition@offset key value`; bytes that are not text are escaped.
fn line(chunk: &Chunk, index: usize) -> String {
    let show = |bytes: Option<&[u8]>| match bytes {
        None => "(null)".to_owned(),
        Some(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains(char::is_control) => text.to_owned(),
            _ => Excerpt(bytes).to_string(),
        },
    };
    let (key, value) = (show(chunk.key(index)), show(chunk.payload(index)));
    format!(
        "{}@{} {key} {value}",
        chunk.partition(),
        chunk.offset(index)
    )
}

pub(super) async fn tail(app: &App, settings: &Settings, args: TailArgs) -> Result<(), RunError> {
    let topic = known_topic(app, settings, &args.topic)?;
    let transport = transport(settings)?;
    let (lines, mut printed) = mpsc::channel(1000);
    let (failed, mut failure) = mpsc::channel(1);
    let printer = Printer {
        from_beginning: args.from_beginning,
        lines,
        failed,
    };
    let consumer: BTreeMap<String, String> = merge_consumer(settings);
    let handle = transport.start_consumer(
        ConsumerSpec {
            name: format!("{}-tail", app.name),
            group: None,
            client_id: format!("{}-tail", app.name),
            topics: vec![settings.real_topic(topic.name)],
            settings: consumer,
            ends: false,
            max_chunk: 500,
            drain: Duration::ZERO,
        },
        Box::new(printer),
    )?;
    let mut left = args.max.unwrap_or(u64::MAX);
    let stop = signalled();
    tokio::pin!(stop);
    let result = loop {
        if left == 0 {
            break Ok(());
        }
        tokio::select! {
            () = &mut stop => break Ok(()),
            Some(error) = failure.recv() => break Err(error.into()),
            Some(line) = printed.recv() => {
                println!("{line}");
                left -= 1;
            }
        }
    };
    // The polling thread may wait for room in the channel.
    drop(printed);
    handle.close(Duration::from_secs(1));
    result
}
