//! `docs/reading.md`.

// [endpoint]
use citizenk::prelude::*;
use citizenk::{Position, ReadError, Reader};

/// A measured temperature.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// In degrees Celsius.
    pub celsius: f64,
}

/// What sensors measure, by their number.
pub const MEASURED: Topic<Measured, u32> = Topic::json("measured");

/// The newest ten measurements of all sensors, the oldest first.
#[citizenk::route(get = "/newest")]
pub async fn newest(reader: Reader) -> Result<Json<Vec<Measured>>, Problem> {
    let records = reader.topic(&MEASURED).last(10).stream().all().await?;
    Ok(Json(
        records.into_iter().map(|record| record.value).collect(),
    ))
}
// [/endpoint]

// [stream]
/// The highest temperature since then: one record at a time, whatever the topic's size.
pub async fn highest(reader: &Reader, since: Position) -> Result<Option<f64>, ReadError> {
    let mut records = reader.topic(&MEASURED).from(since).stream();
    let mut highest: Option<f64> = None;
    while let Some(record) = records.next().await {
        match record {
            Ok(record) => {
                let celsius = record.value.celsius;
                highest = Some(highest.map_or(celsius, |highest| highest.max(celsius)));
            }
            // Not what the topic's format says: the read goes on behind it.
            Err(error) if !error.is_final() => tracing::warn!(%error, "passed over"),
            Err(error) => return Err(error),
        }
    }
    Ok(highest)
}
// [/stream]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [test]
    #[tokio::test]
    async fn the_newest_measurements_are_served() {
        let app = TestApp::new(App::new("sensors").topic(&MEASURED).register::<newest>());
        let app = app.start().await.expect("it starts");
        for sensor in 0..20 {
            let celsius = f64::from(sensor);
            app.topic(&MEASURED).push(&sensor, Measured { celsius });
        }
        let answer = app.get("/newest").await;
        assert_eq!(answer.json::<Vec<Measured>>().len(), 10);

        let highest = highest(&app.reader(), Position::Earliest).await;
        assert_eq!(highest.expect("no error"), Some(19.0));
    }
    // [/test]
}
