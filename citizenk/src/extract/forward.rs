//! A record that is passed on with changes.

use std::convert::Infallible;

use super::outbox::{Outbox, OutboxError};
use crate::agent::RawRecord;
use crate::topic::Topic;

/// A record being passed on; see [`Outbox::forwarding`]. What is not changed stays as it came.
#[must_use = "nothing is staged before `send`"]
pub struct Forwarding<'a, V, K> {
    outbox: &'a Outbox,
    topic: &'a Topic<V, K>,
    record: RawRecord<'a>,
    key: Option<&'a [u8]>,
    /// `None`: as it came.
    value: Option<&'a [u8]>,
    partition: Option<i32>,
    timestamp: Option<i64>,
    header: Option<(&'a str, &'a [u8])>,
}

impl<V, K> std::fmt::Debug for Forwarding<'_, V, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forwarding({:?} to {})", self.record, self.topic.name)
    }
}

impl Outbox {
    /// Starts to pass on one record: as [`Outbox::forward`], but with another key, value, partition or
    /// timestamp, or one more header.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// use citizenk::{Agent, RawRecords, testing::TestApp};
    ///
    /// const TARGET: Topic<RawBytes> = Topic::raw("target");
    ///
    /// let copy = Agent::builder::<RawRecords>("copy")
    ///     .raw(["source"])
    ///     .sends(&TARGET)
    ///     .handle(async |records: RawRecords, out: Outbox| -> citizenk::Result<()> {
    ///         for record in records.iter() {
    ///             let value = record.value().unwrap_or_default().to_ascii_uppercase();
    ///             out.forwarding(&TARGET, record).value(&value).by_key().send()?;
    ///         }
    ///         Ok(())
    ///     });
    /// # citizenk::testing::block_on(async {
    /// let app = TestApp::new(App::new("copy").agent(copy)).start().await?;
    /// app.topic(&TARGET.named("source")).push_raw(Some(b"k"), b"bytes");
    /// app.settle().await;
    /// assert_eq!(app.topic(&TARGET).sent_raw(), [(Some(b"k".to_vec()), Some(b"BYTES".to_vec()))]);
    /// # app.stop().await }).unwrap();
    /// ```
    pub fn forwarding<'a, V, K>(
        &'a self,
        topic: &'a Topic<V, K>,
        record: RawRecord<'a>,
    ) -> Forwarding<'a, V, K> {
        Forwarding {
            outbox: self,
            topic,
            key: record.key(),
            value: None,
            partition: Some(record.partition()),
            timestamp: record.timestamp().millis(),
            header: None,
            record,
        }
    }
}

impl<'a, V, K> Forwarding<'a, V, K> {
    /// With these bytes as key.
    pub fn key(mut self, key: &'a [u8]) -> Self {
        self.key = Some(key);
        self
    }

    /// With these bytes as value.
    pub fn value(mut self, value: &'a [u8]) -> Self {
        self.value = Some(value);
        self
    }

    /// To this partition.
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// To the partition the topic's partitioner chooses by the key.
    pub fn by_key(mut self) -> Self {
        self.partition = None;
        self
    }

    /// With this timestamp, in milliseconds since the Unix epoch.
    pub fn timestamp(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }

    /// With one more header, behind those it has; the last call counts.
    pub fn header(mut self, name: &'a str, value: &'a [u8]) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Stages the record.
    ///
    /// # Errors
    /// As [`Outbox::send`].
    pub fn send(self) -> Result<(), OutboxError> {
        let (topic, partitioner) = (self.topic.id(), self.topic.partitioner);
        let staged = self.outbox.stage(topic, partitioner, |mut writer, _| {
            if let Some(key) = self.key {
                writer.key_bytes(key);
            }
            self.record.visit_headers(|name, value| {
                writer.header(name, value);
            });
            if let Some((name, value)) = self.header {
                writer.header(name, Some(value));
            }
            writer.partition(self.partition).timestamp(self.timestamp);
            match self.value {
                Some(value) => writer.finish(Some(value)),
                None => self.record.stage_value(&mut writer),
            }
            Ok::<(), Infallible>(())
        })?;
        match staged {
            Ok(()) => Ok(()),
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{TestApp, block_on};
    use crate::{Agent, App, Headers, Outbox, RawBytes, RawRecords, Topic};

    const TARGET: Topic<RawBytes> = Topic::raw("target");

    #[test]
    fn what_is_not_changed_stays_as_it_came() {
        let copy = Agent::builder::<RawRecords>("copy")
            .raw(["source"])
            .sends(&TARGET)
            .handle(
                async |records: RawRecords, out: Outbox| -> crate::Result<()> {
                    for record in records.iter() {
                        out.forwarding(&TARGET, record).send()?;
                        let changed = out.forwarding(&TARGET, record).key(b"new").value(b"v");
                        changed
                            .partition(0)
                            .timestamp(7)
                            .header("via", b"here")
                            .send()?;
                    }
                    Ok(())
                },
            );
        block_on(async {
            let app = TestApp::new(App::new("copy").agent(copy)).start().await?;
            let mut headers = Headers::new();
            headers.push("a", Some("1"));
            headers.push("a", None::<&[u8]>);
            let source = TARGET.named("source");
            app.topic(&source)
                .push_to(3, Some(b"k"), b"bytes", headers.clone());
            app.settle().await;
            let sent = app.topic(&TARGET).sent();
            assert_eq!((sent[0].partition, sent[0].key.as_deref()), (3, Some("k")));
            assert_eq!(sent[0].headers, headers);
            assert_eq!(
                (sent[1].partition, sent[1].key.as_deref()),
                (0, Some("new"))
            );
            assert_eq!(sent[1].headers.text("via"), Some("here"));
            assert_eq!(sent[1].headers.len(), 3);
            assert_eq!(
                sent[1].value.as_ref().map(|value| value.0.to_vec()),
                Some(b"v".to_vec())
            );
            app.stop().await
        })
        .expect("it runs");
    }
}
