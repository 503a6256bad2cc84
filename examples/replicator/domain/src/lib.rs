//! What the Replicator decides: which mappings there are, which records pass and what becomes of them, when a
//! recorded record is due.
//!
//! In: texts (configuration, environment), records as borrowed bytes. Out: decisions as data. Nothing here reads
//! a file or a clock, and nothing knows Kafka or HTTP; whoever has those owns the adapters.

pub mod base64;
pub mod config;
pub mod diff;
pub mod env;
pub mod filter;
pub mod issue;
pub mod json;
pub mod lines;
pub mod loops;
pub mod record;
pub mod replay;
pub mod sample;
pub mod transform;
pub mod unified;
pub mod values;

pub use config::{Loaded, Mapping, MappingFile, Pair, is_file_name, load};
pub use issue::{Issue, Place, Severity};
pub use record::{HeaderList, Headers, Record};
pub use transform::{Outcome, Partitioning, Transform};
