//! Time as data: durations in text, an injected clock, and schedules.
//!
//! In: texts of attributes and settings, the present instant. Out: durations, instants, the next tick.
//! Nothing here sleeps; who waits asks a [`Clock`] and hands its answer to a [`Schedule`]. The app owns
//! the one clock of a process and gives clones away.

mod clock;
mod duration;
mod schedule;

pub use clock::Clock;
pub(crate) use duration::{Human, parse_duration};
pub(crate) use schedule::Schedule;
