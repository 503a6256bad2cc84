//! Reactive, typed, asynchronous Kafka microservices with a documented web API.

mod codec;
mod config;
mod error;
mod message;
mod record;
mod staging;
mod suggest;
mod telemetry;
mod time;
mod topic;
mod transport;

pub use codec::{BigEndian, Codec, Decode, Encode, Json, KeyCodec, Raw, RawBytes, TextKey};
pub use config::{Flags, Printable, Settings};
pub use error::{
    AgentError, BuildError, BuildIssue, ConfigError, DecodeError, EncodeError, Exit,
    IntoAgentError, ResultExt, RunError,
};
pub use message::Message;
pub use record::{Headers, Timestamp, TopicPartition};
pub use topic::{Direction, InputTopic, Partitioner, Topic};
pub use transport::{BrokerKind, TransportError};
