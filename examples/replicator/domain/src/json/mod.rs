//! JSON as bytes: files written by hand are read with trailing commas, and scalars are found in a document by
//! their place, without building it.

mod pairs;
mod relax;
mod scan;

pub use pairs::Pairs;
pub use relax::{Relaxed, relax};
pub use scan::{Found, Kind, Paths, ScanError, Segment, find};
