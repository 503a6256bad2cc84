//! Durations as people write them.

use std::fmt;
use std::time::Duration;

/// The units, longest first, in nanoseconds.
const UNITS: [(&str, u128); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// Longer than any service runs, and short enough that adding it to an instant cannot overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// A bare number.
    #[error("`{0}` needs a unit, e.g. \"{0}s\" or \"{0}ms\"")]
    NeedsUnit(String),
    /// Anything else.
    #[error(
        "invalid duration `{0}`; write a number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\", \"1d\""
    )]
    Invalid(String),
    /// More than a hundred years.
    #[error("duration `{0}` is longer than 100 years")]
    TooLong(String),
}

/// Reads a number and a unit (`ms`, `s`, `m`, `h`, `d`): `250ms`, `30s`, `1.5h`. Fractions of a
/// nanosecond are an error, not rounded.
///
/// # Errors
/// The text is not of this form.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let invalid = || DurationError::Invalid(text.escape_debug().to_string());
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || (number.contains('.') && !digits(fraction)) {
        return Err(invalid());
    }
    if unit.is_empty() {
        return Err(DurationError::NeedsUnit(number.to_owned()));
    }
    let (_, nanos) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(invalid)?;
    let too_long = || DurationError::TooLong(text.to_owned());
    // 20 digits of any unit are over the limit; fewer cannot overflow a u128 times the longest unit.
    let whole = whole.trim_start_matches('0');
    if whole.len() > 19 {
        return Err(too_long());
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| invalid())?
    };
    let mut total = whole * nanos;
    let mut unit = nanos;
    for digit in fraction.trim_end_matches('0').bytes() {
        if unit % 10 != 0 {
            return Err(invalid());
        }
        unit /= 10;
        total += u128::from(digit - b'0') * unit;
    }
    if total > LONGEST.as_nanos() {
        return Err(too_long());
    }
    let seconds = u64::try_from(total / 1_000_000_000).map_err(|_| too_long())?;
    let nanos = u32::try_from(total % 1_000_000_000).map_err(|_| too_long())?;
    Ok(Duration::new(seconds, nanos))
}

/// A duration in the longest unit that divides it: 90 s print as `90s`, 120 s as `2m`. What it prints,
/// [`parse_duration`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if let Some((unit, size)) = UNITS
            .into_iter()
            .find(|(_, size)| nanos.is_multiple_of(*size))
        {
            return write!(f, "{}{unit}", nanos / size);
        }
        let (whole, rest) = (nanos / 1_000_000, nanos % 1_000_000);
        let rest = format!("{rest:06}");
        write!(f, "{whole}.{}ms", rest.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_with_units_are_read() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("30s", 30_000),
            (" 30s ", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1.5s", 1_500),
            ("0.25h", 900_000),
            ("007ms", 7),
            ("36500d", 3_153_600_000_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_named() {
        for (text, message) in [
            ("200", "`200` needs a unit, e.g. \"200s\" or \"200ms\""),
            (
                "5 parsecs",
                "invalid duration `5 parsecs`; write a number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\", \"1d\"",
            ),
            ("36501d", "duration `36501d` is longer than 100 years"),
            (
                "99999999999999999999999999999999999999999d",
                "duration `99999999999999999999999999999999999999999d` is longer than 100 years",
            ),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message);
        }
        for text in [
            "",
            "s",
            ".5s",
            "5.s",
            "-5s",
            "5S",
            "1h30m",
            "5 s",
            "1e3s",
            "٣s",
            "0.0000000001s",
            "1.2.3s",
        ] {
            assert!(
                matches!(parse_duration(text), Err(DurationError::Invalid(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn durations_print_in_the_longest_even_unit() {
        for (text, printed) in [
            ("0ms", "0s"),
            ("1000ms", "1s"),
            ("90s", "90s"),
            ("120s", "2m"),
            ("24h", "1d"),
            ("1.5s", "1500ms"),
            ("0.5ms", "0.5ms"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(Human(duration).to_string(), printed);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(seconds in 0..3_000_000_000_u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&Human(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = parse_duration(&text);
        }
    }
}
