//! When a timer is due.
//!
//! A cron expression is read in its time zone's wall time. Two kinds of expression differ where clocks
//! are set, as in Vixie cron:
//!
//! - *fixed times* (no `*`, `?` or `/` in second, minute and hour, e.g. `30 2 * * *`) run once per
//!   matching wall time: a time that the clock skips runs at the first instant after the gap, a time
//!   that happens twice runs the first time only;
//! - *intervals* (all others, e.g. `*/15 * * * *`) follow real time: skipped times do not run, repeated
//!   ones run again.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::Human;
use crate::suggest::did_you_mean;

/// When a timer is due next: a pure function of the present.
#[derive(Clone)]
pub(crate) struct Schedule(Kind);

#[derive(Clone)]
enum Kind {
    Every(Duration),
    Cron(Box<CronSchedule>),
}

#[derive(Clone)]
struct CronSchedule {
    text: String,
    cron: Cron,
    tz: Tz,
    fixed: bool,
}

/// What is wrong with a schedule; names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ScheduleError(String);

const FIELDS: [&str; 6] = [
    "second",
    "minute",
    "hour",
    "day of month",
    "month",
    "day of week",
];
const VALUES: [&str; 6] = [
    "0-59",
    "0-59",
    "0-23",
    "1-31, `L` or `W`",
    "1-12 or JAN-DEC",
    "0-7 or SUN-SAT, `#` or `L`",
];

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// More than one gap or fold at a time has never been seen; the bound only keeps the loop finite.
const MOST_CANDIDATES: usize = 100_000;

impl Schedule {
    /// Every `interval`.
    ///
    /// # Errors
    /// The interval is zero.
    pub(crate) fn every(interval: Duration) -> Result<Self, ScheduleError> {
        if interval.is_zero() {
            return Err(ScheduleError(
                "the interval must be longer than zero".to_owned(),
            ));
        }
        Ok(Self(Kind::Every(interval)))
    }

    /// A cron expression of five fields (minute, hour, day of month, month, day of week), or six with the
    /// second first, or `@daily` and its like, in a zone of the IANA database.
    ///
    /// # Errors
    /// Names the field or the zone that is wrong, and expressions that never happen.
    pub(crate) fn cron(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let tz = zone.parse::<Tz>().map_err(|_| {
            let names = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name());
            let zone = zone.escape_debug().to_string();
            let hint = did_you_mean(&zone, names);
            ScheduleError(format!(
                "unknown time zone `{zone}`{hint}{}",
                if hint.is_empty() {
                    "; use an IANA name such as `Europe/Rome` or `UTC`"
                } else {
                    ""
                }
            ))
        })?;
        let text = expression.trim();
        let plain = expand(text)?;
        let fields: Vec<&str> = plain.split_whitespace().collect();
        // The names of five fields start at the minute.
        let first = match fields.len() {
            6 => 0,
            5 => 1,
            count => {
                return Err(ScheduleError(format!(
                    "cron expression `{}` has {count} field{}; write five (minute, hour, day of month, \
                     month, day of week) or six (second first), e.g. `0 6 * * *`",
                    text.escape_debug(),
                    if count == 1 { "" } else { "s" },
                )));
            }
        };
        let cron = parse(plain).map_err(|error| {
            // The parser does not say which field it means: the one that fails among `*`.
            let culprit = (0..fields.len()).find(|&i| {
                let mut probe = vec!["*"; fields.len()];
                probe[i] = fields[i];
                parse(&probe.join(" ")).is_err()
            });
            ScheduleError(match culprit {
                Some(i) => format!(
                    "the {} field `{}` of cron expression `{}` is wrong; it takes {}",
                    FIELDS[first + i],
                    fields[i].escape_debug(),
                    text.escape_debug(),
                    VALUES[first + i],
                ),
                None => format!(
                    "cron expression `{}` is wrong: {error}",
                    text.escape_debug()
                ),
            })
        })?;
        // Second, minute and hour; a missing second is 0.
        let fixed = fields[..3 - first]
            .iter()
            .all(|field| !field.contains(['*', '?', '/']));
        let schedule = CronSchedule {
            text: text.to_owned(),
            cron,
            tz,
            fixed,
        };
        if schedule.next_after(DateTime::UNIX_EPOCH).is_none() {
            return Err(ScheduleError(format!(
                "cron expression `{text}` never happens: no such day exists"
            )));
        }
        Ok(Self(Kind::Cron(Box::new(schedule))))
    }

    /// The first tick strictly after `now`; `None` at the end of the calendar. For an interval this is
    /// `now` plus the interval, so ask with the instant of the last tick to keep the beat.
    pub(crate) fn next_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match &self.0 {
            Kind::Every(interval) => now.checked_add_signed(TimeDelta::from_std(*interval).ok()?),
            Kind::Cron(cron) => cron.next_after(now),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Every(interval) => write!(f, "every {}", Human(*interval)),
            Kind::Cron(cron) => write!(f, "at {} ({})", cron.text, cron.tz),
        }
    }
}

// Derived, it would print a bit field of 5,000 years.
impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

fn expand(text: &str) -> Result<&str, ScheduleError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let names = NICKNAMES.map(|(name, _)| name);
    NICKNAMES
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, plain)| plain)
        .ok_or_else(|| {
            ScheduleError(format!(
                "unknown schedule `{}`; use one of {}",
                text.escape_debug(),
                names.join(", ")
            ))
        })
}

fn parse(text: &str) -> Result<Cron, croner::errors::CronError> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(text)
}

impl CronSchedule {
    fn next_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !self.fixed {
            let local = now.with_timezone(&self.tz);
            let next = self.cron.find_next_occurrence(&local, false).ok()?;
            return Some(next.to_utc());
        }
        // Wall time is searched as if it were UTC, which has no gaps, then given its instant.
        let mut wall = now.with_timezone(&self.tz).naive_local();
        for _ in 0..MOST_CANDIDATES {
            let next = self
                .cron
                .find_next_occurrence(&wall.and_utc(), false)
                .ok()?;
            wall = next.naive_utc();
            let instant = match self.tz.from_local_datetime(&wall) {
                MappedLocalTime::Single(instant) => instant.to_utc(),
                MappedLocalTime::Ambiguous(first, _) => first.to_utc(),
                MappedLocalTime::None => first_instant_after_gap(self.tz, wall)?,
            };
            // In the second pass through a repeated hour its times lie in the past.
            if instant > now {
                return Some(instant);
            }
        }
        None
    }
}

/// The first second whose wall time is not before `wall`, which the zone skips.
fn first_instant_after_gap(tz: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    // No zone is further than 26 hours from UTC, so the answer lies between.
    let window = TimeDelta::hours(26);
    let start = wall.checked_sub_signed(window)?.and_utc();
    let (mut before, mut after) = (0, 2 * window.num_seconds());
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let instant = start.checked_add_signed(TimeDelta::seconds(middle))?;
        if instant.with_timezone(&tz).naive_local() < wall {
            before = middle;
        } else {
            after = middle;
        }
    }
    start.checked_add_signed(TimeDelta::seconds(after))
}

#[cfg(test)]
mod tests {
    use chrono::Timelike;
    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn rome(expression: &str) -> Schedule {
        Schedule::cron(expression, "Europe/Rome").unwrap()
    }

    /// The next `count` ticks in Rome's wall time with its offset.
    fn ticks(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
        let mut now = utc(after);
        (0..count)
            .map(|_| {
                now = schedule.next_after(now).unwrap();
                now.with_timezone(&Tz::Europe__Rome)
                    .format("%m-%d %H:%M:%S%:z")
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn an_interval_keeps_its_beat() {
        let schedule = Schedule::every(Duration::from_millis(1_500)).unwrap();
        assert_eq!(
            schedule.next_after(utc("2026-01-01T00:00:00Z")),
            Some(utc("2026-01-01T00:00:01.500Z"))
        );
        assert_eq!(schedule.to_string(), "every 1500ms");
        assert_eq!(schedule.next_after(DateTime::<Utc>::MAX_UTC), None);
        assert_eq!(
            Schedule::every(Duration::ZERO).unwrap_err().to_string(),
            "the interval must be longer than zero"
        );
    }

    #[test]
    fn wall_time_follows_the_zone_through_the_year() {
        let schedule = rome("0 6 * * *");
        assert_eq!(
            schedule.next_after(utc("2026-01-10T04:59:59.999Z")),
            Some(utc("2026-01-10T05:00:00Z"))
        );
        assert_eq!(
            schedule.next_after(utc("2026-01-10T05:00:00Z")),
            Some(utc("2026-01-11T05:00:00Z"))
        );
        assert_eq!(
            schedule.next_after(utc("2026-07-10T03:59:59Z")),
            Some(utc("2026-07-10T04:00:00Z"))
        );
        assert_eq!(schedule.to_string(), "at 0 6 * * * (Europe/Rome)");
    }

    #[test]
    fn a_skipped_hour_runs_fixed_times_once_after_the_gap() {
        // 2026-03-29: 02:00+01:00 becomes 03:00+02:00.
        let before = "2026-03-28T12:00:00Z";
        assert_eq!(
            ticks(&rome("30 2 * * *"), before, 2),
            ["03-29 03:00:00+02:00", "03-30 02:30:00+02:00"]
        );
        assert_eq!(
            ticks(&rome("0,30 2 * * *"), before, 2),
            ["03-29 03:00:00+02:00", "03-30 02:00:00+02:00"]
        );
        assert_eq!(
            ticks(&rome("0 3 * * *"), before, 2),
            ["03-29 03:00:00+02:00", "03-30 03:00:00+02:00"]
        );
        assert_eq!(
            ticks(&rome("*/30 * * * *"), "2026-03-29T00:15:00Z", 3),
            [
                "03-29 01:30:00+01:00",
                "03-29 03:00:00+02:00",
                "03-29 03:30:00+02:00"
            ]
        );
    }

    #[test]
    fn a_repeated_hour_runs_fixed_times_once_and_intervals_twice() {
        // 2026-10-25: 03:00+02:00 becomes 02:00+01:00.
        let before = "2026-10-24T12:00:00Z";
        assert_eq!(
            ticks(&rome("30 2 * * *"), before, 2),
            ["10-25 02:30:00+02:00", "10-26 02:30:00+01:00"]
        );
        assert_eq!(
            ticks(&rome("0,30 2,14 * * *"), before, 4),
            [
                "10-24 14:30:00+02:00",
                "10-25 02:00:00+02:00",
                "10-25 02:30:00+02:00",
                "10-25 14:00:00+01:00"
            ]
        );
        assert_eq!(
            ticks(&rome("0 * * * *"), "2026-10-24T23:30:00Z", 3),
            [
                "10-25 02:00:00+02:00",
                "10-25 02:00:00+01:00",
                "10-25 03:00:00+01:00"
            ]
        );
        // Asked in the second pass, at 02:10+01:00.
        assert_eq!(
            ticks(&rome("30 2 * * *"), "2026-10-25T01:10:00Z", 1),
            ["10-26 02:30:00+01:00"]
        );
    }

    #[test]
    fn a_skipped_day_is_survived() {
        // Samoa had no 30 December 2011.
        let schedule = Schedule::cron("0 12 30 12 *", "Pacific/Apia").unwrap();
        assert_eq!(
            schedule.next_after(utc("2011-12-29T00:00:00Z")),
            Some(utc("2011-12-30T10:00:00Z"))
        );
    }

    #[test]
    fn leap_days_and_month_ends() {
        let leap = Schedule::cron("0 0 29 2 *", "UTC").unwrap();
        assert_eq!(
            leap.next_after(utc("2026-01-01T00:00:00Z")),
            Some(utc("2028-02-29T00:00:00Z"))
        );
        assert_eq!(
            leap.next_after(utc("2096-03-01T00:00:00Z")),
            Some(utc("2104-02-29T00:00:00Z"))
        );
        let last = Schedule::cron("0 0 L * *", "UTC").unwrap();
        assert_eq!(
            last.next_after(utc("2028-02-01T00:00:00Z")),
            Some(utc("2028-02-29T00:00:00Z"))
        );
        let nickname = Schedule::cron("@monthly", "UTC").unwrap();
        assert_eq!(
            nickname.next_after(utc("2026-12-31T23:59:59Z")),
            Some(utc("2027-01-01T00:00:00Z"))
        );
        let seconds = Schedule::cron("*/20 * * * * *", "UTC").unwrap();
        assert_eq!(
            seconds.next_after(utc("2026-12-31T23:59:59Z")),
            Some(utc("2027-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn errors_name_the_field() {
        for (expression, zone, expected) in [
            (
                "0 25 * * *",
                "UTC",
                "the hour field `25` of cron expression `0 25 * * *` is wrong; it takes 0-23",
            ),
            ("61 * * * *", "UTC", "the minute field `61` of"),
            ("0 0 0 0 * *", "UTC", "the day of month field `0` of"),
            ("0 0 1 FOO *", "UTC", "the month field `FOO` of"),
            ("0 0 * * 9", "UTC", "the day of week field `9` of"),
            ("99 0 0 * * *", "UTC", "the second field `99` of"),
            ("", "UTC", "cron expression `` has 0 fields"),
            (
                "0 6 * *",
                "UTC",
                "cron expression `0 6 * *` has 4 fields; write five",
            ),
            ("0 6 * * * * 2030", "UTC", "has 7 fields"),
            (
                "@dayly",
                "UTC",
                "unknown schedule `@dayly`; use one of @yearly",
            ),
            (
                "0 0 30 2 *",
                "UTC",
                "cron expression `0 0 30 2 *` never happens",
            ),
            (
                "0 6 * * *",
                "Europe/Rom",
                "unknown time zone `Europe/Rom`; did you mean `Europe/Rome`?",
            ),
            (
                "0 6 * * *",
                "Nowhere",
                "unknown time zone `Nowhere`; use an IANA name",
            ),
        ] {
            let error = Schedule::cron(expression, zone).unwrap_err().to_string();
            assert!(error.contains(expected), "{expression}: {error}");
        }
    }

    fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
        prop_oneof![
            Just("*".to_owned()),
            (low..=high).prop_map(|value| value.to_string()),
            (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (2..8_u32).prop_map(|step| format!("*/{step}")),
        ]
    }

    proptest! {
        #[test]
        fn next_is_later_and_matches(
            (minute, hour, day) in (field(0, 59), field(0, 23), field(1, 28)),
            zone in prop::sample::select(vec![
                "UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
            ]),
            seconds in 1_700_000_000_i64..1_900_000_000,
            millis in 0..1_000_u32,
        ) {
            let now = DateTime::from_timestamp(seconds, millis * 1_000_000).unwrap();
            let schedule = Schedule::cron(&format!("{minute} {hour} {day} * *"), zone).unwrap();
            let next = schedule.next_after(now).unwrap();
            prop_assert!(next > now);
            prop_assert_eq!(next.nanosecond(), 0);
            let Kind::Cron(cron) = &schedule.0 else { unreachable!() };
            let local = next.with_timezone(&cron.tz);
            // The one exception: a fixed time in a gap runs at its end, so the second before jumps.
            let jumped = (next - TimeDelta::seconds(1)).with_timezone(&cron.tz).naive_local()
                != local.naive_local() - TimeDelta::seconds(1);
            prop_assert!(
                cron.cron.is_time_matching(&local.naive_local().and_utc()).unwrap()
                    || (cron.fixed && jumped),
                "{} does not match {}", local, schedule
            );
            // The first: from just before it, from `now` and from between the answer is the same.
            let between = now + (next - now) / 2;
            prop_assert_eq!(schedule.next_after(between), Some(next));
        }

        #[test]
        fn no_expression_panics(text in "[0-9*/,#LW@ A-C-]{0,24}", zone in "[A-Za-z/]{0,12}") {
            if let Ok(schedule) = Schedule::cron(&text, "Europe/Rome") {
                let _ = schedule.next_after(DateTime::UNIX_EPOCH);
            }
            let _ = Schedule::cron("0 0 * * *", &zone);
        }
    }
}
