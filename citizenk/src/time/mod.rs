//! Placeholder until merged.
use chrono::{DateTime, Utc};
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    System,
    Tokio {
        base: DateTime<Utc>,
        start: tokio::time::Instant,
    },
}
impl Clock {
    pub(crate) fn system() -> Self {
        Self::System
    }
    pub(crate) fn tokio(base: DateTime<Utc>) -> Self {
        Self::Tokio {
            base,
            start: tokio::time::Instant::now(),
        }
    }
    pub(crate) fn now_utc(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Tokio { base, start } => *base + start.elapsed(),
        }
    }
    pub(crate) fn millis(&self) -> i64 {
        self.now_utc().timestamp_millis()
    }
}
