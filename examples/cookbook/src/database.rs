//! Batches into a database: one transaction per batch, bad rows to a dead-letter topic.

// [types]
use citizenk::prelude::*;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

/// What a sensor measured.
#[citizenk::message]
pub struct Reading {
    /// The sensor.
    pub sensor: u32,
    /// When, in UTC.
    pub at: DateTime<Utc>,
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
    create_tables(&pool).await?;
    Ok(pool)
}

pub(crate) async fn create_tables(pool: &SqlitePool) -> sqlx::Result<()> {
    let table = "create table if not exists readings (
        partition integer, offset integer, sensor integer, day text, celsius real,
        primary key (partition, offset)
    )";
    sqlx::query(table).execute(pool).await?;
    Ok(())
}

/// The service.
pub fn app() -> App {
    App::new("readings").state_with(open).register::<store>()
}
// [/pool]

// [store]
/// One transaction per batch. What fails as a whole is tried again as a whole; a row that can never be
/// stored goes to the dead letters at once, and the others stay.
#[citizenk::agent(topics = [READINGS], batch_size = 500, batch_timeout = "1s", timeout = "20s",
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
            .bind(reading.value.at.format("%F").to_string())
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
pub(crate) mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    pub(crate) fn reading(sensor: u32, celsius: f64) -> Reading {
        Reading {
            sensor,
            at: DateTime::UNIX_EPOCH,
            celsius,
        }
    }

    // [test]
    /// One connection that stays: every connection to `:memory:` is a database of its own. No limit of
    /// time is near, because the test's clock does not wait for SQLite's thread.
    pub(crate) async fn in_memory() -> citizenk::Result<SqlitePool> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(std::time::Duration::from_hours(24))
            .connect("sqlite::memory:")
            .await?;
        create_tables(&pool).await?;
        Ok(pool)
    }

    async fn stored(pool: &SqlitePool) -> citizenk::Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from readings")
            .fetch_one(pool)
            .await?)
    }

    fn done(app: &TestApp) -> i64 {
        app.committed(&READINGS).values().sum()
    }

    #[tokio::test]
    async fn bad_rows_become_dead_letters_and_the_others_stay() -> citizenk::Result<()> {
        let pool = in_memory().await?;
        let app = TestApp::new(app)
            .override_state(pool.clone())
            .start()
            .await?;
        app.topic(&READINGS).push_raw(Some(b"1"), b"{}");
        app.topic(&READINGS).push(&1, reading(1, 21.5));
        app.topic(&READINGS).push(&1, reading(1, 4000.0));
        app.topic(&READINGS).push(&1, reading(1, 22.0));
        // The batch is handed over when its second is up; then SQLite works on a thread of its own.
        app.advance("2s").await;
        app.wait_until(|app| done(app) == 4).await;

        assert_eq!(stored(&pool).await?, 2);
        let stages: Vec<String> = app
            .dead_letters()
            .into_iter()
            .map(|letter| letter.stage)
            .collect();
        assert_eq!(stages, ["decode", "handler"]);
        Ok(())
    }

    #[tokio::test]
    async fn a_database_that_comes_back_gets_everything() -> citizenk::Result<()> {
        let pool = in_memory().await?;
        let app = TestApp::new(app)
            .override_state(pool.clone())
            .start()
            .await?;
        // Somebody holds the only connection until the agent's first attempt has given up.
        let busy = pool.acquire().await?;
        app.topic(&READINGS).push(&1, reading(1, 21.5));
        app.advance("40s").await;
        assert_eq!(done(&app), 0);
        drop(busy);
        app.wait_until(|app| done(app) == 1).await;

        assert_eq!(stored(&pool).await?, 1);
        assert!(app.dead_letters().is_empty());
        Ok(())
    }
    // [/test]
}
