//! Errors, one file per audience.

mod agent;
mod build;
mod codec;
mod run;

pub(crate) use agent::Wish;
pub use agent::{AgentError, IntoAgentError, ResultExt};
pub use build::{BuildError, BuildIssue};
pub use codec::{DecodeError, EncodeError};
pub use run::{ConfigError, Exit, RunError};
