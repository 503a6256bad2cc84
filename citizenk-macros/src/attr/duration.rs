//! Durations in attributes: a number and a unit.
//!
//! In: the text of a string literal. Out: milliseconds, or why not.

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    NoUnit,
    Invalid,
}

pub(crate) const FORMS: &str = r#"a number and a unit: "250ms", "30s", "5m", "1h""#;

/// Reads `250ms`, `30s`, `5m`, `1h` or `1d` as milliseconds.
pub(crate) fn millis(text: &str) -> Result<u64, Fault> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if !number.is_empty() => return Err(Fault::NoUnit),
        _ => return Err(Fault::Invalid),
    };
    let number: u64 = number.parse().map_err(|_| Fault::Invalid)?;
    number.checked_mul(factor).ok_or(Fault::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        let table = [
            ("250ms", Ok(250)),
            ("30s", Ok(30_000)),
            (" 5 m ", Ok(300_000)),
            ("1h", Ok(3_600_000)),
            ("1d", Ok(86_400_000)),
            ("0s", Ok(0)),
            ("200", Err(Fault::NoUnit)),
            ("", Err(Fault::Invalid)),
            ("s", Err(Fault::Invalid)),
            ("5 parsecs", Err(Fault::Invalid)),
            ("-1s", Err(Fault::Invalid)),
            ("1.5s", Err(Fault::Invalid)),
            ("99999999999999999999s", Err(Fault::Invalid)),
            ("18446744073709551615h", Err(Fault::Invalid)),
            ("5µs", Err(Fault::Invalid)),
        ];
        for (text, expected) in table {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
