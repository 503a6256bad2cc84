//! Batches into a database: one transaction per batch, bad rows to a dead-letter topic.

// [types]
use citizenk::prelude::*;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

/// What a sensor measured.
#[citizenk::message]
pub struct Reading {
    /// The sensor.
    pub sensor: u32,
    /// Days since 1970-01-01.
    pub day: u32,
    /// The value in degrees Celsius.
    pub celsius: f64,
}

/// Readings, keyed by sensor.
pub const READINGS: Topic<Reading, u32> = Topic::json("readings");
/// Records that cannot be stored, byte for byte, with the reason in their headers.
pub const BAD_READINGS: Topic<RawBytes, u32> = Topic::raw("readings.bad");
// [/types]

// [pool]
/// `[app] database` or `APP_DATABASE`.
#[derive(serde::Deserialize)]
struct Settings {
    database: String,
}

async fn open(cx: citizenk::StateContext) -> citizenk::Result<SqlitePool> {
    let settings: Settings = cx.settings()?;
    let options: SqliteConnectOptions = settings.database.parse()?;
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .connect_with(options.create_if_missing(true))
        .await?;
    sqlx::query(
        "create table if not exists readings (
            partition integer, offset integer, sensor integer, day integer, celsius real,
            primary key (partition, offset)
        )",
    )
    .execute(&pool)
    .await?;
    Ok(pool)
}

/// The service.
pub fn app() -> App {
    App::new("readings").state_with(open).register::<store>()
}
// [/pool]

// [store]
/// One transaction per batch. What fails as a whole is tried again as a whole; a row that can never be
/// stored goes to the dead letters at once, and the others stay.
#[citizenk::agent(topics = [READINGS], batch_size = 500, batch_timeout = "1s",
                  on_decode_error = dead_letter(BAD_READINGS),
                  on_error = retry(5, backoff = "100ms..10s", then = dead_letter(BAD_READINGS)))]
pub async fn store(
    readings: Batch<Event<Reading>>,
    State(pool): State<SqlitePool>,
) -> citizenk::Result<BatchOutcome> {
    let mut transaction = pool.begin().await?;
    let mut outcomes = Vec::with_capacity(readings.len());
    for reading in &readings {
        if !(-90.0..=60.0).contains(&reading.value.celsius) {
            outcomes.push(Outcome::dead_letter("not a temperature on this planet"));
            continue;
        }
        // A record may come twice: its place in the topic is what makes the second time harmless.
        sqlx::query("insert into readings values (?, ?, ?, ?, ?) on conflict do nothing")
            .bind(reading.partition())
            .bind(reading.offset())
            .bind(reading.value.sensor)
            .bind(reading.value.day)
            .bind(reading.value.celsius)
            .execute(&mut *transaction)
            .await?;
        outcomes.push(Outcome::Done);
    }
    transaction.commit().await?;
    Ok(outcomes.into())
}
// [/store]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [test]
    async fn memory() -> citizenk::Result<SqlitePool> {
        todo!()
    }
    // [/test]
}
