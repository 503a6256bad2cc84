//! The mappings: files as people write them to what runs.
//!
//! ```text
//! mapping file ─┬─ templates[] ─▶ template files ─▶ rendered ─┐
//!               ├─ mappings[] ────────────────────────────────┼─▶ overrides ─▶ effective mappings + issues
//!               └─ enabled[], disabled[] ─────────────────────┘
//! ```

mod load;
mod mapping;
mod render;
#[cfg(test)]
mod tests;

pub use load::{Effective, Loaded, Origin, load, read_mapping};
pub use mapping::{
    Epoch, GroupAction, Mapping, MappingFile, Pair, PairRef, Replay, TemplateUse, is_file_name,
};
pub use render::{Vars, render};

/// What serde says, without the place, which is said elsewhere.
pub(crate) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
