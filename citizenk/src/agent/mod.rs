//! What an agent is, accepts and returns.
//!
//! In: decoded values with their records. Out: an agent's input ([`AgentInput`]) and the verdict made
//! of what its handler returned ([`IntoOutcome`], [`IntoOutput`]). The builder collects the settings an
//! attribute or a program gives; the runtime turns it into lanes.

mod batch;
mod builder;
mod event;
pub(crate) mod input;
mod outcome;
mod output;
mod raw;
mod stream;

pub use batch::Batch;
pub use builder::{AgentBuilder, AgentHandle, Origin};
pub(crate) use builder::{AgentSpec, GroupChoice, InputSpec};
pub use event::Event;
pub use input::{AgentInput, BatchInput};
pub use outcome::Verdict;
pub use outcome::{BatchOutcome, IntoOutcome, Outcome};
pub use output::{IntoOutput, Reply};
pub use raw::{RawRecord, RawRecords, Undecoded};
pub(crate) use raw::{is_bytes, is_undecoded};
pub use stream::{Clients, IntoStream, StreamFilter};
pub(crate) use stream::{StreamSpec, Wants};
