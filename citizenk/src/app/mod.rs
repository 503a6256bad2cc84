//! Collects components and state, validates all of it at once, starts, stops, and gives the program its
//! command line.

mod component;
mod module;

pub use component::{Component, ComponentDef};
pub use module::Module;
