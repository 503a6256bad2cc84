//! `docs/topics.md`.

// [topics]
use citizenk::prelude::*;
use citizenk::{Direction, Partitioner};

/// A struct, or an enum tagged as serde says.
#[citizenk::message]
#[derive(Debug, PartialEq)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DoorEvent {
    /// `{"type": "opened", "by": "ada"}`
    Opened {
        /// Who.
        by: String,
    },
    /// `{"type": "closed"}`
    Closed,
}

/// JSON values; keys are the text of a `String`.
pub const EVENTS: Topic<DoorEvent> = Topic::json("events");
/// Keys are numbers, written as their text: `7`.
pub const BY_DOOR: Topic<DoorEvent, u32> = Topic::json("events-by-door");
/// Keys as Java's `LongSerializer` writes them.
pub const BY_LONG: Topic<DoorEvent, i64> = Topic::json("events-by-long").key_big_endian();
/// Written by librdkafka clients, which partition with CRC-32; this app only reads it.
pub const FOREIGN: Topic<DoorEvent, u32> = Topic::json("foreign")
    .partitioner(Partitioner::Crc32)
    .direction(Direction::Input);
/// Bytes nobody has described.
pub const FRAMES: Topic<RawBytes> = Topic::raw("frames");
/// JSON nobody has described.
pub const ANYTHING: Topic<serde_json::Value> = Topic::json("anything");
// [/topics]

// [existing]
/// A type that has serde's traits already, e.g. from another crate.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Existing {
    /// A field.
    pub name: String,
}

impl citizenk::Message for Existing {}
// [/existing]

/// A topic of it.
pub const EXISTING: Topic<Existing> = Topic::json("existing");

// [tombstones]
/// `Option` admits records without value: the deletion of a key on a compacted topic.
#[citizenk::agent(topics = [BY_DOOR])]
pub async fn follow(event: Event<Option<DoorEvent>>, Key(door): Key<u32>) {
    match event.value {
        Some(event) => println!("door {door}: {event:?}"),
        None => println!("door {door} is gone"),
    }
}
// [/tombstones]
