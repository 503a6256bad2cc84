//! A daily report, published by one worker.

// [report]
use citizenk::prelude::*;
use sqlx::SqlitePool;

use crate::database;

/// What one day brought.
#[citizenk::message]
#[derive(Debug, PartialEq)]
pub struct Report {
    /// How many readings.
    pub readings: i64,
    /// Their mean, if there were any.
    pub mean_celsius: Option<f64>,
}

/// Keyed by day, e.g. `2026-03-01`: a report that is published twice replaces itself where the topic is
/// compacted.
pub const REPORTS: Topic<Report> = Topic::json("reports");

/// Reports yesterday, every morning in Rome. `on = one`: only the worker that owns partition 0 of the
/// app's first topic, so that ten workers do not publish ten reports.
#[citizenk::repeat_at("0 6 * * *", tz = "Europe/Rome", on = one)]
pub async fn daily_report(
    State(pool): State<SqlitePool>,
    producer: Producer,
) -> citizenk::Result<()> {
    let yesterday = (Utc::now() - std::time::Duration::from_hours(24))
        .format("%F")
        .to_string();
    publish(&pool, &producer, yesterday).await
}

// What the readings of all workers say is in the database they share; what one of them keeps in memory
// knows only its own partitions.
async fn publish(pool: &SqlitePool, producer: &Producer, day: String) -> citizenk::Result<()> {
    let query = "select count(*), avg(celsius) from readings where day = ?";
    let (readings, mean_celsius) = sqlx::query_as(query).bind(&day).fetch_one(pool).await?;
    let report = Report {
        readings,
        mean_celsius,
    };
    producer.send(&REPORTS, &day, report).await?;
    Ok(())
}

/// The service: the readings' agent and the report.
pub fn app() -> App {
    database::app().register::<daily_report>()
}
// [/report]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;
    use crate::database::READINGS;
    use crate::database::tests::{in_memory, reading};

    // [test]
    #[tokio::test]
    async fn one_of_two_workers_reports_each_day() -> citizenk::Result<()> {
        let app = TestApp::new(app)
            .override_state(in_memory().await?)
            .workers(2)
            .start()
            .await?;
        app.topic(&READINGS).push(&1, reading(1, 20.0));
        app.advance("24h").await;
        app.wait_until(|app| app.topic(&REPORTS).sent().len() == 1)
            .await;
        app.advance("24h").await;
        app.wait_until(|app| app.topic(&REPORTS).sent().len() == 2)
            .await;
        Ok(())
    }
    // [/test]
}
