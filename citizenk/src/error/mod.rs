//! Errors, one file per audience.

mod agent;
mod build;
mod cluster;
mod codec;
mod excerpt;
mod locate;
mod run;
mod transport;

pub use agent::{AgentError, FailureKind, IntoAgentError, ResultExt};
pub(crate) use agent::{Wish, panic_text};
pub use build::{BuildError, BuildIssue};
pub use cluster::UnknownCluster;
pub use codec::{DecodeError, EncodeError, SchemaId};
pub(crate) use codec::{Obtain, Obtained, Obtaining};
pub(crate) use excerpt::{Excerpt, cut};
pub(crate) use locate::json_field;
#[cfg(feature = "strict-json")]
pub(crate) use locate::{Step, field_path};
pub use run::{ConfigError, Exit, RunError};
pub use transport::TransportError;
