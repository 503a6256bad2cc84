//! The cases; each says which scenarios of the Replicator it shows.

pub(crate) mod copies;
pub(crate) mod files;
pub(crate) mod hand_over;
pub(crate) mod trouble;
