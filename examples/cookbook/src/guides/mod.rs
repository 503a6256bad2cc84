//! What the guides show.

pub mod administration;
pub mod agents;
pub mod clusters;
pub mod delivery;
pub mod dynamic;
pub mod errors;
pub mod middleware;
pub mod reading;
pub mod routers;
pub mod security;
pub mod streams;
pub mod topics;
pub mod web;
