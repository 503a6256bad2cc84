//! Values on their way to live clients: one stream per agent with `websocket` or `events`.
//!
//! In: what an agent returned, serialised once ([`Stream::publish`]). Out: shared bytes to every client
//! ([`Subscriber`]), each at its own pace, as far as the ring reaches. The app owns the streams; whoever
//! publishes never waits for a client.

mod ring;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

pub use self::ring::SlowClient;
use self::ring::{Item, Ring};
use crate::telemetry::{Metrics, StreamMetrics};

/// How many bytes of values a stream keeps at most.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A value as filters see it.
pub(crate) type Kept = Arc<dyn Any + Send + Sync>;

/// One value of a stream.
pub(crate) struct Frame {
    key: Option<Bytes>,
    /// The value as JSON.
    pub(crate) json: Bytes,
    /// For filters, where there are any.
    pub(crate) value: Option<Kept>,
    /// The value in the wire format of a client, made when the first client of that format gets it.
    shapes: [OnceLock<Bytes>; 2],
}

/// Wire formats that are not the bare value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An event of an event stream.
    Event,
    /// A message of a websocket that tells ids and gaps.
    Envelope,
}

impl Frame {
    /// The value in another format; `make` runs once per value, however many clients there are.
    pub(crate) fn shaped(&self, shape: Shape, make: impl FnOnce(&[u8]) -> Bytes) -> Bytes {
        let slot = &self.shapes[match shape {
            Shape::Event => 0,
            Shape::Envelope => 1,
        }];
        slot.get_or_init(|| make(&self.json)).clone()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.json.len())
    }
}

impl Item for Arc<Frame> {
    fn bytes(&self) -> usize {
        self.json.len() + self.key.as_ref().map_or(0, Bytes::len)
    }

    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref()
    }
}

/// All streams of a running app, by the agent's name.
#[derive(Clone)]
pub(crate) struct Streams {
    streams: Arc<Mutex<BTreeMap<String, Stream>>>,
    metrics: Metrics,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            streams: Arc::default(),
            metrics,
        }
    }

    /// The stream of this name; the same for everybody who asks.
    pub(crate) fn stream(&self, name: &str) -> Stream {
        let mut streams = lock(&self.streams);
        if let Some(stream) = streams.get(name) {
            return stream.clone();
        }
        let stream = self.unlisted(name);
        streams.insert(name.to_owned(), stream.clone());
        stream
    }

    /// A stream for who asks alone, which ends with its last clone; counted under this name.
    pub(crate) fn unlisted(&self, name: &str) -> Stream {
        Stream(Arc::new(Inner {
            name: name.to_owned(),
            run: run_id(),
            ring: Mutex::new(Ring::new(SlowClient::MOST, MOST_BYTES)),
            head: watch::channel(0).0,
            metrics: self.metrics.stream(name),
        }))
    }
}

/// Tells ids of this process from those of the one before it, and of other workers.
fn run_id() -> u32 {
    let id = std::hash::RandomState::new().build_hasher().finish();
    // Half of it is enough to tell a few processes apart, and is half as long.
    (id >> 32) as u32
}

/// One stream; clones are the same.
#[derive(Clone)]
pub(crate) struct Stream(Arc<Inner>);

struct Inner {
    name: String,
    run: u32,
    ring: Mutex<Ring<Arc<Frame>>>,
    /// The number of the next value, to wait for.
    head: watch::Sender<u64>,
    metrics: StreamMetrics,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({})", self.0.name)
    }
}

/// Where a value stands: `RUN-NUMBER`. Only the process that made it knows what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameId {
    run: u32,
    number: u64,
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.run, self.number)
    }
}

impl FrameId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (run, number) = text.split_once('-')?;
        let decimal = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        if run.len() != 8 || !decimal {
            return None;
        }
        Some(Self {
            run: u32::from_str_radix(run, 16).ok()?,
            number: number.parse().ok()?,
        })
    }
}

impl Stream {
    /// Gives a value to every client there is, and to those that come back for it.
    pub(crate) fn publish(&self, key: Option<Bytes>, json: Bytes, value: Option<Kept>) {
        let frame = Arc::new(Frame {
            key,
            json,
            value,
            shapes: Default::default(),
        });
        let head = {
            let mut ring = lock(&self.0.ring);
            ring.push(frame);
            ring.head()
        };
        self.0.metrics.published();
        // Two that publish at once may come here in the other order.
        self.0.head.send_if_modified(|known| {
            let newer = head > *known;
            *known = head.max(*known);
            newer
        });
    }

    pub(crate) fn metrics(&self) -> &StreamMetrics {
        &self.0.metrics
    }

    /// Reads from now on, or behind the value the client had last.
    pub(crate) fn subscribe(&self, slow: SlowClient, last: Option<&str>) -> Subscriber {
        let ring = lock(&self.0.ring);
        let (head, tail) = (ring.head(), ring.tail());
        drop(ring);
        let (next, gap) = match last.map(FrameId::parse) {
            None => (head, None),
            // A position behind the end was never given to anybody.
            Some(Some(id)) if id.run == self.0.run && id.number < head => {
                let next = id.number + 1;
                let missed = tail.saturating_sub(next);
                (
                    next.max(tail),
                    (missed > 0).then_some(Gap {
                        missed: Some(missed),
                    }),
                )
            }
            // Another process knows what followed, or nobody.
            Some(_) => (head, Some(Gap { missed: None })),
        };
        if let Some(missed) = gap.and_then(|gap| gap.missed) {
            self.0.metrics.missed(missed);
        }
        Subscriber {
            stream: self.clone(),
            slow,
            next,
            gap,
            head: self.0.head.subscribe(),
        }
    }
}

/// Values that a client does not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How many; `None`: nobody here knows.
    pub(crate) missed: Option<u64>,
}

impl Gap {
    pub(crate) fn json(self) -> String {
        self.missed.map_or_else(
            || r#"{"missed":null}"#.to_owned(),
            |missed| format!(r#"{{"missed":{missed}}}"#),
        )
    }
}

/// What a client gets next.
#[derive(Debug)]
pub(crate) enum Step {
    Next {
        gap: Option<Gap>,
        frames: Vec<(FrameId, Arc<Frame>)>,
    },
    /// It fell behind and is to be disconnected.
    TooSlow,
}

/// One client's place in a stream.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    stream: Stream,
    slow: SlowClient,
    next: u64,
    gap: Option<Gap>,
    head: watch::Receiver<u64>,
}

impl Subscriber {
    pub(crate) fn slow(&self) -> SlowClient {
        self.slow
    }

    /// Whether all that it has not been given is kept.
    pub(crate) fn is_whole(&self) -> bool {
        self.next >= lock(&self.stream.0.ring).first(self.slow)
    }

    /// Waits for something to give. Dropped on the way it loses nothing.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Some(step) = self.step_now() {
                return step;
            }
            let next = self.next;
            if self.head.wait_for(|head| *head > next).await.is_err() {
                // The sender lives in the stream this holds.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What there is to give without waiting.
    pub(crate) fn step_now(&mut self) -> Option<Step> {
        let taken = lock(&self.stream.0.ring).take(self.next, self.slow);
        match taken {
            Err(slow) => {
                self.stream.0.metrics.missed(slow.missed);
                Some(Step::TooSlow)
            }
            Ok(taken) => {
                self.next = taken.next;
                self.stream.0.metrics.missed(taken.missed);
                self.stream.0.metrics.coalesced(taken.coalesced);
                let fell_behind = (taken.missed > 0).then_some(Gap {
                    missed: Some(taken.missed),
                });
                let gap = self.gap.take().or(fell_behind);
                if gap.is_none() && taken.items.is_empty() {
                    return None;
                }
                let run = self.stream.0.run;
                let frames = taken.items.into_iter();
                let frames = frames.map(|(number, frame)| (FrameId { run, number }, frame));
                Some(Step::Next {
                    gap,
                    frames: frames.collect(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Streams::new(Metrics::new()).stream("live")
    }

    fn publish(stream: &Stream, range: std::ops::Range<u64>) {
        for n in range {
            stream.publish(None, Bytes::from(n.to_string()), None);
        }
    }

    fn values(step: Option<Step>) -> (Option<Gap>, Vec<String>, Option<FrameId>) {
        match step {
            Some(Step::Next { gap, frames }) => {
                let last = frames.last().map(|(id, _)| *id);
                let text = |frame: &Arc<Frame>| String::from_utf8(frame.json.to_vec()).unwrap();
                let values = frames.iter().map(|(_, frame)| text(frame));
                (gap, values.collect(), last)
            }
            Some(Step::TooSlow) => panic!("too slow"),
            None => (None, Vec::new(), None),
        }
    }

    #[test]
    fn a_client_that_comes_back_goes_on_where_it_was() {
        let stream = stream();
        let mut client = stream.subscribe(SlowClient::default(), None);
        publish(&stream, 0..3);
        let (_, got, last) = values(client.step_now());
        assert_eq!(got, ["0", "1", "2"]);
        let last = last.unwrap().to_string();
        publish(&stream, 3..5);
        let mut again = stream.subscribe(SlowClient::default(), Some(&last));
        assert_eq!(values(again.step_now()).1, ["3", "4"]);
        assert!(again.step_now().is_none());
    }

    #[test]
    fn what_cannot_be_resumed_begins_with_a_gap() {
        let stream = stream();
        publish(&stream, 0..3000);
        let known = FrameId {
            run: stream.0.run,
            number: 9,
        };
        let mut client = stream.subscribe(SlowClient::default(), Some(&known.to_string()));
        let (gap, got, _) = values(client.step_now());
        assert_eq!(
            gap,
            Some(Gap {
                missed: Some(3000 - 1024 - 10)
            })
        );
        assert_eq!(got.first().map(String::as_str), Some("1976"));
        let future = FrameId {
            run: stream.0.run,
            number: 3000,
        };
        let foreign = FrameId {
            run: stream.0.run ^ 1,
            number: 9,
        };
        for unknown in [
            foreign.to_string(),
            future.to_string(),
            "nonsense".to_owned(),
        ] {
            let mut client = stream.subscribe(SlowClient::default(), Some(&unknown));
            let (gap, got, _) = values(client.step_now());
            assert_eq!(gap, Some(Gap { missed: None }), "{unknown}");
            assert!(got.is_empty());
        }
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = FrameId {
            run: 0xab,
            number: 7,
        };
        assert_eq!(id.to_string(), "000000ab-7");
        assert_eq!(FrameId::parse("000000ab-7"), Some(id));
        for bad in [
            "",
            "7",
            "ab-7",
            "000000ab-",
            "000000ab--7",
            "000000ab-+7",
            "zz0000ab-7",
        ] {
            assert_eq!(FrameId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn bytes_of_a_format_are_made_once() {
        let stream = stream();
        let mut clients: Vec<_> = (0..3)
            .map(|_| stream.subscribe(SlowClient::default(), None))
            .collect();
        publish(&stream, 0..1);
        let mut made = 0;
        for client in &mut clients {
            let Some(Step::Next { frames, .. }) = client.step_now() else {
                panic!("nothing to give")
            };
            frames[0].1.shaped(Shape::Event, |json| {
                made += 1;
                Bytes::copy_from_slice(json)
            });
        }
        assert_eq!(made, 1);
    }
}
