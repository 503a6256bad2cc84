//! Where the present comes from.

use chrono::{DateTime, TimeDelta, Utc};

/// What time it is: the system's clock, or under `TestApp` the test's own, which it moves itself.
///
/// An argument of agents, timers, hooks and HTTP endpoints; a handler that asks it, and not
/// `Utc::now()`, can be tested at any time of the day.
///
/// ```
/// use citizenk::prelude::*;
///
/// #[citizenk::repeat_every("1m")]
/// async fn report(clock: Clock) {
///     println!("it is {}", clock.now());
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Tokio {
        base: DateTime<Utc>,
        start: tokio::time::Instant,
    },
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// `base` now, and as much later as tokio's clock moves on from here; with a paused tokio clock it
    /// moves only when the test advances it.
    #[must_use]
    pub fn tokio(base: DateTime<Utc>) -> Self {
        Self(Kind::Tokio {
            base,
            start: tokio::time::Instant::now(),
        })
    }

    /// The wall time; may jump when the system's clock is set.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Kind::System => Utc::now(),
            Kind::Tokio { base, start } => TimeDelta::from_std(start.elapsed())
                .ok()
                .and_then(|elapsed| base.checked_add_signed(elapsed))
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    }

    /// The wall time in milliseconds since 1970, as Kafka writes timestamps.
    pub(crate) fn millis(&self) -> i64 {
        self.now().timestamp_millis()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_tokio_clock_moves_with_paused_time_only() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::time::pause();
            let base = DateTime::parse_from_rfc3339("2026-03-29T00:59:59Z")
                .unwrap()
                .to_utc();
            let clock = Clock::tokio(base);
            let same = clock.clone();
            assert_eq!(clock.now(), base);
            tokio::time::advance(Duration::from_millis(2_500)).await;
            assert_eq!(clock.now().to_rfc3339(), "2026-03-29T01:00:01.500+00:00");
            assert_eq!(same.millis(), base.timestamp_millis() + 2_500);
        });
    }

    #[test]
    fn the_system_clock_is_utc() {
        let clock = Clock::system();
        assert!((clock.now() - Utc::now()).abs() < TimeDelta::seconds(5));
    }
}
