//! The code of `docs/cookbook.md`, compiled and tested: one module per recipe. The guides of `docs/` are
//! tested here too, as documentation of [`guides`].

pub mod database;
pub mod enrich;
pub mod guides;
pub mod report;
pub mod service;
