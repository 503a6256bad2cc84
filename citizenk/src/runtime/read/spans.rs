//! A consumer that reads ranges of offsets, and the stream that owns it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::feed::{AHEAD, Feed, Gauge, Item, weight};
use super::{Job, Span};
use crate::extract::{Found, FoundStream, ReadError};
use crate::transport::{ConsumerHandle, ConsumerSpec};

/// Records of a chunk.
const CHUNK: usize = 500;
/// What the client reads ahead: much less than for an agent. What a user sets is kept.
const SETTINGS: [(&str, &str); 2] = [
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.max.bytes", "4194304"),
];

pub(super) fn read(
    job: &Job,
    spans: Vec<Span>,
    new_partitions: bool,
) -> Result<FoundStream, ReadError> {
    if spans.iter().all(|span| span.is_empty()) && !new_partitions {
        return Ok(stream::empty().boxed());
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "bounded by bytes: see `feed`, which stops taking records"
    )]
    let (send, items) = mpsc::unbounded_channel();
    let gauge = Arc::new(Gauge::default());
    let ends = spans.iter().all(|span| span.to.is_some());
    let feed = Feed::new(
        job.topic.clone(),
        &spans,
        new_partitions,
        send,
        gauge.clone(),
        job.counts.clone(),
    );
    let mut settings = job.reads.settings.clone();
    for (key, value) in SETTINGS {
        settings
            .entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    let spec = ConsumerSpec {
        name: format!("read-{}", job.topic),
        group: None,
        client_id: job.reads.client_id.clone(),
        topics: vec![job.topic.to_string()],
        settings,
        ends: true,
        max_chunk: CHUNK,
        drain: Duration::ZERO,
    };
    let started = job.reads.transport.start_consumer(spec, Box::new(feed));
    let consumer = started.map_err(|error| job.failed(error))?;
    Ok(Spans {
        topic: job.topic.clone(),
        items,
        consumer,
        gauge,
        patience: ends.then_some(job.patience),
        alarm: None,
        ended: false,
    }
    .boxed())
}

struct Spans {
    topic: Arc<str>,
    items: mpsc::UnboundedReceiver<Item>,
    consumer: Arc<dyn ConsumerHandle>,
    gauge: Arc<Gauge>,
    /// `None`: it waits for ever.
    patience: Option<Duration>,
    /// Since nothing was there.
    alarm: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Stream for Spans {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(item) = this.items.poll_recv(cx) else {
            let Some(patience) = this.patience else {
                return Poll::Pending;
            };
            let alarm = this
                .alarm
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
            std::task::ready!(alarm.as_mut().poll(cx));
            this.ended = true;
            let (partition, offset) = this.gauge.waits();
            return Poll::Ready(Some(Err(ReadError::Silent {
                topic: this.topic.to_string(),
                partition,
                offset,
                waited: patience,
                last: this.gauge.trouble().map(Box::new),
            })));
        };
        this.alarm = None;
        match &item {
            Some(Ok(Found::Records(chunk, _))) => {
                let weight = weight(&**chunk);
                let before = this.gauge.bytes.fetch_sub(weight, Ordering::AcqRel);
                if before >= AHEAD && before - weight < AHEAD {
                    this.consumer.wake();
                }
            }
            Some(Ok(Found::Deleted(..))) => {}
            Some(Err(_)) | None => this.ended = true,
        }
        Poll::Ready(item)
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        self.consumer.close(Duration::ZERO);
    }
}
