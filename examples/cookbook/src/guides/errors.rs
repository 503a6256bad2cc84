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
    App::new("payments").register::<book>().register::<audit>()
}

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [letters]
    #[tokio::test]
    async fn what_cannot_be_booked_is_kept_with_the_reason() -> citizenk::Result<()> {
        let mut app = TestApp::new(app()).start().await?;
        for amount in ["100", "many", "0", "13"] {
            app.topic(&PAYMENTS).push(&"ada".into(), Payment { amount: amount.into() });
        }
        app.settle().await?;

        assert_eq!(app.topic(&BOOKED).sent().values(), [100]);
        let letters = app.dead_letters();
        assert_eq!(letters.len(), 2);
        let header = |letter: usize, name: &str| {
            let headers = letters[letter].headers();
            headers.text(&format!("citizenk.dead-letter.{name}")).map(str::to_owned)
        };
        assert_eq!(header(0, "reason").as_deref(), Some("invalid digit found in string"));
        assert_eq!(header(0, "attempts").as_deref(), Some("1"));
        assert_eq!(header(1, "reason").as_deref(), Some("the bank is closed"));
        assert_eq!(header(1, "attempts").as_deref(), Some("6"));
        Ok(())
    }
    // [/letters]
}
