//! The code of `docs/`, compiled and tested: one module per recipe of the cookbook, and [`guides`].
//!
//! The text between `// [name]` and `// [/name]` is what a document shows where it says
//! `<!-- examples/cookbook/src/FILE#name -->`; the test `documents` compares them.

#![expect(
    missing_debug_implementations,
    reason = "a recipe shows what it needs and no more"
)]

pub mod database;
pub mod enrich;
pub mod guides;
pub mod report;
pub mod service;
