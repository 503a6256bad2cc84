//! What the benchmarks send around: a JSON record of about 180 bytes, as a sensor would report it.

/// Keys: so many sensors.
const SENSORS: u64 = 1000;
const SITES: [&str; 4] = [
    "turin/line-1",
    "turin/line-2",
    "lyon/line-1",
    "porto/line-3",
];
const STATES: [&str; 3] = ["running", "idle", "maintenance"];
const NOTE: &str = "calibrated on the spring round; ";

/// The record everybody reads. Every contestant decodes this very type.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) sensor: u32,
    pub(crate) sequence: u64,
    pub(crate) site: String,
    pub(crate) state: String,
    pub(crate) celsius: f64,
    pub(crate) bar: f64,
    pub(crate) taken_at: i64,
    pub(crate) note: String,
}

/// What `transform` makes of a reading.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Converted {
    pub(crate) sensor: u32,
    pub(crate) sequence: u64,
    pub(crate) site: String,
    pub(crate) fahrenheit: f64,
    pub(crate) pascal: f64,
    pub(crate) alarm: bool,
    pub(crate) taken_at: i64,
}

impl Reading {
    /// The record of this number, of about so many bytes as JSON. Built afresh by every contestant that
    /// produces, so its cost is in all of them.
    pub(crate) fn nth(sequence: u64, bytes: usize) -> Self {
        let pick = |from: &[&str]| from[(sequence % from.len() as u64) as usize].to_owned();
        // About what the other fields take.
        let room = bytes.saturating_sub(145);
        let mut note = String::with_capacity(room);
        while note.len() < room {
            note.push_str(&NOTE[..NOTE.len().min(room - note.len())]);
        }
        Self {
            sensor: Self::sensor_of(sequence),
            sequence,
            site: pick(&SITES),
            state: pick(&STATES),
            celsius: 20.0 + (sequence % 800) as f64 / 16.0,
            bar: 1.0 + (sequence % 320) as f64 / 64.0,
            taken_at: 1_760_000_000_000 + sequence as i64,
            note,
        }
    }

    /// Something that looks like the record of this number.
    pub(crate) fn text(sequence: u64) -> String {
        format!("{{\"sequence\": {sequence}, \"note\": \"{NOTE}\"}} ")
    }

    pub(crate) fn sensor_of(sequence: u64) -> u32 {
        // Below `SENSORS`.
        (sequence % SENSORS) as u32
    }
}

impl From<Reading> for Converted {
    fn from(reading: Reading) -> Self {
        Self {
            sensor: reading.sensor,
            sequence: reading.sequence,
            site: reading.site,
            fahrenheit: reading.celsius * 1.8 + 32.0,
            pascal: reading.bar * 100_000.0,
            alarm: reading.celsius > 65.0,
            taken_at: reading.taken_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_about_the_size_asked_for() {
        for bytes in [180, 500, 4000] {
            let total: usize = (0..5000)
                .map(|n| {
                    serde_json::to_vec(&Reading::nth(n * 199, bytes))
                        .unwrap()
                        .len()
                })
                .sum();
            let mean = total / 5000;
            assert!(mean.abs_diff(bytes) <= 12, "{bytes} became {mean}");
        }
    }

    #[test]
    fn records_survive_json() {
        let reading = Reading::nth(123_456, 180);
        let json = serde_json::to_vec(&reading).unwrap();
        assert_eq!(serde_json::from_slice::<Reading>(&json).unwrap(), reading);
    }
}
