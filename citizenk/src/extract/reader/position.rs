//! Places in a topic.

use chrono::{DateTime, Utc};

use crate::time::parse_duration;

/// A place in each partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// The first record that is kept.
    Earliest,
    /// The end as it is when the read begins. Where only committed records are read (the default), that is
    /// not beyond the first transaction that is still open.
    Latest,
    /// This offset, in every partition that is read.
    Offset(i64),
    /// The first record written at or after this time, as the broker's index of timestamps finds it; the
    /// end where there is none. The embedded broker has no such index.
    Time(DateTime<Utc>),
}

/// A text that is no [`Position`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no position; write `earliest`, `latest`, an offset such as 1200, a time such as 2025-01-31T06:00:00Z, or how long ago: -1h"
)]
pub struct PositionError(String);

impl Position {
    /// Reads a position as people write it: `earliest`, `latest`, an offset, a time (RFC 3339), or a
    /// duration before `now`: `-90s`, `-1h`, `-7d`.
    ///
    /// # Errors
    /// The text is none of these.
    ///
    /// ```
    /// use citizenk::Position;
    /// use citizenk::prelude::*;
    ///
    /// let now: DateTime<Utc> = "2025-01-31T06:00:00Z".parse().unwrap();
    /// assert_eq!(Position::parse("earliest", now), Ok(Position::Earliest));
    /// assert_eq!(Position::parse("1200", now), Ok(Position::Offset(1200)));
    /// let five = Position::Time("2025-01-31T05:00:00Z".parse().unwrap());
    /// assert_eq!(Position::parse("-1h", now), Ok(five));
    /// assert_eq!(Position::parse("2025-01-31T07:00:00+02:00", now), Ok(five));
    /// assert!(Position::parse("yesterday", now).is_err());
    /// ```
    pub fn parse(text: &str, now: DateTime<Utc>) -> Result<Self, PositionError> {
        let invalid = || PositionError(text.escape_debug().to_string());
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Some(ago) = text.strip_prefix('-') {
            let ago = parse_duration(ago).map_err(|_| invalid())?;
            let ago = chrono::TimeDelta::from_std(ago).map_err(|_| invalid())?;
            return now
                .checked_sub_signed(ago)
                .map(Self::Time)
                .ok_or_else(invalid);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Offset).map_err(|_| invalid());
        }
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self::Time(time.to_utc()))
            .map_err(|_| invalid())
    }
}
