//! `docs/errors.md`.

use citizenk::prelude::*;

/// A payment.
#[citizenk::message]
#[derive(Clone)]
pub struct Payment {
    /// As the customer typed it.
    pub amount: String,
}

/// All payments.
pub const PAYMENTS: Topic<Payment> = Topic::json("payments");
/// Cents.
pub const BOOKED: Topic<u64> = Topic::json("payments.booked");

// [policies]
/// Where records end that cannot be handled; raw, because it takes what cannot be decoded as well.
pub const FAILED: Topic<RawBytes> = Topic::raw("payments.failed");

/// Five more tries, each twice as late as the one before, then the dead letters.
#[citizenk::agent(topics = [PAYMENTS], output = BOOKED,
                  on_decode_error = dead_letter(FAILED),
                  on_error = retry(5, backoff = "100ms..10s", then = dead_letter(FAILED)))]
pub async fn book(payment: Event<Payment>) -> citizenk::Result<u64> {
    // Bad input does not get better: no retry.
    let cents: u64 = payment.value.amount.parse().or_dead_letter()?;
    if cents == 0 {
        return Err(AgentError::skip("nothing to book"));
    }
    // Any other error is the policy's.
    bank(cents).await?;
    Ok(cents)
}
// [/policies]

// [later]
/// Four tries within a second; then again after half a minute, then after ten, while the payments behind it go on.
#[citizenk::agent(topics = [BOOKED],
                  on_error = retry(3, backoff = "100ms..1s",
                      then = retry_topics(["30s", "10m"], then = dead_letter(FAILED))))]
pub async fn settle(cents: Event<u64>) -> citizenk::Result<()> {
    bank(cents.value).await?;
    Ok(())
}
// [/later]

async fn bank(cents: u64) -> std::io::Result<()> {
    match cents {
        13 => Err(std::io::Error::other("the bank is closed")),
        _ => Ok(()),
    }
}

// [batch]
/// One outcome per record: the good ones are done, whatever becomes of the others.
#[citizenk::agent(topics = [PAYMENTS], batch_size = 100, batch_timeout = "500ms", group = "audit")]
pub async fn audit(payments: Batch<Payment>) -> BatchOutcome {
    payments
        .iter()
        .map(|payment| payment.amount.parse::<u64>().or_skip())
        .collect()
}
// [/batch]

/// The service.
pub fn app() -> App {
    App::new("payments")
        .register::<book>()
        .register::<settle>()
        .register::<audit>()
}

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [letters]
    #[tokio::test]
    async fn what_cannot_be_booked_is_kept_with_the_reason() -> citizenk::Result<()> {
        let app = TestApp::new(app).start().await?;
        for amount in ["100", "many", "0", "13"] {
            app.topic(&PAYMENTS).push(
                &"ada".into(),
                Payment {
                    amount: amount.into(),
                },
            );
        }
        app.advance("1m").await;

        assert_eq!(app.topic(&BOOKED).sent()[0].value, Some(100));
        let letters: Vec<_> = app
            .dead_letters()
            .into_iter()
            .map(|letter| {
                let tries = letter
                    .headers
                    .text("citizenk.dead-letter.attempts")
                    .map(str::to_owned);
                (letter.reason, tries.unwrap_or_default())
            })
            .collect();
        let expected = [
            ("invalid digit found in string", "1"),
            ("the bank is closed", "6"),
        ];
        assert_eq!(
            letters,
            expected.map(|(reason, tries)| (reason.to_owned(), tries.to_owned()))
        );
        Ok(())
    }
    // [/letters]
}
