//! `send`: records by hand, through the topic's own format.

use std::io::BufRead;
use std::sync::Arc;

use super::super::App;
use super::{SendArgs, known_topic, with_ids};
use crate::config::Settings;
use crate::error::{ConfigError, RunError};
use crate::extract::{ProduceError, ProducePort};
use crate::runtime::produce::{Port, Sender};
use crate::staging::StagedBatch;
use crate::topic::describe::TopicInfo;
use crate::transport::ProducerSpec;

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
    topic
        .check_value(value.as_bytes(), &mut bytes)
        .map_err(|error| usage(&format!("topic `{}`", topic.name), error.to_string()))?;
    let mut batch = StagedBatch::default();
    {
        let mut writer = batch.record(0);
        if let Some(key) = &args.key {
            writer
                .key_with(|out| topic.key_from_text(key, out))
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
    let topic = with_ids(app, settings, &topic, true).await?;
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
    let clusters = app.clusters(settings, None)?;
    let cluster = clusters.of(topic.cluster)?;
    let producer = cluster.transport.start_producer(ProducerSpec {
        name: app.name.clone(),
        client_id: format!("{}-send", app.name),
        settings: cluster.producer_settings.clone(),
    })?;
    let sender = Sender::new([(cluster.name, producer)], settings.names());
    let port = Port::default();
    port.set(Some(Arc::new(sender)));
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
