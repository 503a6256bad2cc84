//! Bounded reads: the port behind [`Reader`](crate::Reader).
//!
//! In: a [`ReadRequest`]. Out: a stream of chunks. `bounds` asks the cluster once what the request's
//! positions mean; `spans` reads ranges of offsets with a consumer of its own that joins no group, fed by
//! its polling thread (`feed`); `last` finds the newest records from the end backwards. The stream owns the
//! consumer: when it is dropped, the consumer ends.

mod bounds;
mod feed;
mod last;
mod spans;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, TryFutureExt};

use crate::config::TopicNames;
use crate::extract::{
    Begin, Counts, Extent, Extents, Found, FoundStream, ReadError, ReadPort, ReadRequest,
};
use crate::record::TopicPartition;
use crate::runtime::clusters::Clusters;
use crate::transport::{BrokerKind, Spot, Transport, TransportError};

use bounds::Bounds;

/// How long the cluster may take to say what it has.
const ANSWER: Duration = Duration::from_secs(10);

/// What of a partition is read; without `to` for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    partition: i32,
    from: i64,
    to: Option<i64>,
}

impl Span {
    fn is_empty(self) -> bool {
        self.to.is_some_and(|to| to <= self.from)
    }

    fn len(self) -> u64 {
        self.to
            .and_then(|to| u64::try_from(to - self.from).ok())
            .unwrap_or(0)
    }
}

/// Reads of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Reads {
    pub(crate) transport: Arc<dyn Transport>,
    /// Of consumers.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) client_id: String,
    pub(crate) names: TopicNames,
}

/// Reads of all clusters of an app.
#[derive(Clone, Debug)]
pub(crate) struct AllReads {
    pub(crate) clusters: Clusters,
    pub(crate) client_id: String,
    pub(crate) names: TopicNames,
}

impl AllReads {
    fn of(&self, request: &ReadRequest) -> Result<Reads, ReadError> {
        let found = self.clusters.of(request.cluster);
        let cluster = found.map_err(|source| ReadError::Transport {
            topic: request.topic.clone(),
            source,
        })?;
        Ok(Reads {
            transport: cluster.transport.clone(),
            settings: cluster.consumer_settings.clone(),
            client_id: self.client_id.clone(),
            names: self.names.clone(),
        })
    }
}

impl ReadPort for AllReads {
    fn open(&self, request: ReadRequest) -> FoundStream {
        match self.of(&request) {
            Ok(reads) => reads.open(request),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn extents(&self, request: ReadRequest) -> Extents {
        match self.of(&request) {
            Ok(reads) => reads.extents(request),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn clusters(&self) -> Vec<&'static str> {
        self.clusters.names()
    }
}

/// One read.
#[derive(Clone)]
struct Job {
    reads: Reads,
    /// On the broker.
    topic: Arc<str>,
    patience: Duration,
    counts: Arc<Counts>,
}

impl Reads {
    fn job(&self, request: &ReadRequest) -> Job {
        let topic = if request.on_broker {
            request.topic.as_str().into()
        } else {
            self.names.real(&request.topic).into()
        };
        Job {
            reads: self.clone(),
            topic,
            patience: request.patience,
            counts: request.counts.clone(),
        }
    }
}

impl ReadPort for Reads {
    fn open(&self, request: ReadRequest) -> FoundStream {
        let job = self.job(&request);
        job.begin(request).try_flatten_stream().boxed()
    }

    fn extents(&self, request: ReadRequest) -> Extents {
        let job = self.job(&request);
        Box::pin(async move {
            let asked = job.clone();
            let bounds = job.on_thread(move || bounds::find(&asked, &request));
            let all = bounds.await?.all.into_iter();
            let extent = |bound: bounds::Bound| {
                let bounds::Bound {
                    low, from, high, ..
                } = bound;
                (bound.partition, Extent { low, from, high })
            };
            Ok(all.map(extent).collect())
        })
    }
}

impl Job {
    async fn begin(self, request: ReadRequest) -> Result<FoundStream, ReadError> {
        let asked = (self.clone(), request.clone());
        let bounds = self
            .on_thread(move || bounds::find(&asked.0, &asked.1))
            .await?;
        let deleted = self.deleted(&bounds);
        let (each, over_all) = match request.begin {
            Begin::At(_) | Begin::Each(_) => {
                let spans = bounds.spans(request.follow);
                return Ok(stream::iter(deleted)
                    .chain(self.read(spans, request.new_partitions())?)
                    .boxed());
            }
            Begin::Last(count) => (count, true),
            Begin::LastEach(count) => (count, false),
        };
        let newest = last::find(&self, &bounds, each, over_all).await?;
        let rest = if request.follow {
            self.read(bounds.behind(), request.new_partitions())?
        } else {
            stream::empty().boxed()
        };
        Ok(stream::iter(newest).map(Ok).chain(rest).boxed())
    }

    /// Reads ranges of offsets; with `new_partitions` also those that are added later.
    fn read(&self, spans: Vec<Span>, new_partitions: bool) -> Result<FoundStream, ReadError> {
        let all: u64 = spans.iter().map(|span| span.len()).sum();
        self.counts.all.fetch_add(all, Ordering::Relaxed);
        spans::read(self, spans, new_partitions)
    }

    fn deleted(&self, bounds: &Bounds) -> Vec<Result<Found, ReadError>> {
        let all = bounds.deleted.iter();
        all.map(|(partition, from, to)| {
            let id = TopicPartition::new(self.topic.clone(), *partition);
            Ok(Found::Deleted(id, *from, *to))
        })
        .collect()
    }

    /// Asks the cluster without blocking the runtime; the in-memory log answers at once, so that a paused
    /// clock stays where it is.
    async fn on_thread<T: Send + 'static>(
        &self,
        ask: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        if self.reads.transport.kind() == BrokerKind::Memory {
            return ask();
        }
        let asked = tokio::task::spawn_blocking(ask).map(|answer| match answer {
            Ok(answer) => answer,
            Err(gone) => Err(self.failed(TransportError {
                context: format!("reading `{}`", self.topic),
                code: "_DESTROY".to_owned(),
                message: gone.to_string(),
                retriable: false,
                fatal: true,
            })),
        });
        asked.await
    }

    fn failed(&self, source: TransportError) -> ReadError {
        ReadError::Transport {
            topic: self.topic.to_string(),
            source,
        }
    }

    fn offsets(&self, partitions: &[i32], at: Spot) -> Result<Vec<Option<i64>>, ReadError> {
        let transport = &self.reads.transport;
        if matches!(at, Spot::Time(_)) && transport.kind() == BrokerKind::Embedded {
            return Err(ReadError::Unsupported {
                topic: self.topic.to_string(),
                what: "finding offsets by time",
            });
        }
        let level = self.reads.settings.get("isolation.level");
        let committed_only = level.is_none_or(|level| level != "read_uncommitted");
        let ids = partitions.iter();
        let ids = ids.map(|partition| TopicPartition::new(self.topic.clone(), *partition));
        transport
            .offsets(&ids.collect::<Vec<_>>(), at, committed_only, ANSWER)
            .map_err(|error| self.failed(error))
    }
}

impl ReadRequest {
    fn new_partitions(&self) -> bool {
        self.follow && self.partitions.is_empty()
    }
}

#[cfg(test)]
mod tests;
