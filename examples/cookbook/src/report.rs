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
    let report = report(&pool, &yesterday).await?;
    producer.send(&REPORTS, &yesterday, report).await?;
    Ok(())
}

// What all workers have read is in the database they share; what one of them keeps in memory is of its
// own partitions only.
async fn report(pool: &SqlitePool, day: &str) -> citizenk::Result<Report> {
    let query = "select count(*), avg(celsius) from readings where day = ?";
    let (readings, mean_celsius) = sqlx::query_as(query).bind(day).fetch_one(pool).await?;
    Ok(Report {
        readings,
        mean_celsius,
    })
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
    async fn one_of_two_workers_reports() -> citizenk::Result<()> {
        let before_six_in_rome: DateTime<Utc> = "2026-03-01T04:59:00Z".parse()?;
        let app = TestApp::new(app)
            .override_state(in_memory().await?)
            .workers(2)
            .at(before_six_in_rome)
            .start()
            .await?;
        app.advance("2m").await;
        app.wait_until(|app| !app.topic(&REPORTS).sent().is_empty())
            .await;
        app.settle().await;
        assert_eq!(app.topic(&REPORTS).sent().len(), 1);
        Ok(())
    }

    #[tokio::test]
    async fn the_report_covers_the_day() -> citizenk::Result<()> {
        let pool = in_memory().await?;
        let app = TestApp::new(app)
            .override_state(pool.clone())
            .start()
            .await?;
        app.topic(&READINGS).push(&1, reading(1, 20.0));
        app.topic(&READINGS).push(&1, reading(1, 22.0));
        app.advance("2s").await;
        app.wait_until(|app| app.committed(&READINGS).values().sum::<i64>() == 2)
            .await;
        let report = report(&pool, "1970-01-01").await?;
        assert_eq!((report.readings, report.mean_celsius), (2, Some(21.0)));
        Ok(())
    }
    // [/test]
}
