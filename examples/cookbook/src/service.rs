//! A service with settings and a subcommand of its own.

// [settings]
use citizenk::prelude::*;
use citizenk::{Exit, Flags, RunError};
use clap::Parser;

/// `[app]` of the settings file, or `APP_LIMIT` and `APP_CURRENCY`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Payments above it are reported.
    pub limit: u64,
    /// The currency the limit is in.
    #[serde(default = "euro")]
    pub currency: String,
}

fn euro() -> String {
    "EUR".to_owned()
}

/// A payment.
#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// Cents.
    pub amount: u64,
    /// ISO 4217.
    pub currency: String,
}

/// All payments.
pub const PAYMENTS: Topic<Payment> = Topic::json("payments");
/// Those above the limit.
pub const LARGE: Topic<Payment> = Topic::json("payments.large");

/// Passes on what is above the limit.
#[citizenk::agent(topics = [PAYMENTS], output = LARGE)]
pub async fn large(payment: Event<Payment>, State(settings): State<Settings>) -> Option<Payment> {
    let payment = payment.value;
    (payment.currency == settings.currency && payment.amount > settings.limit).then_some(payment)
}

/// The service.
pub fn app() -> App {
    App::new("payments")
        .settings::<Settings>()
        .register::<large>()
}
// [/settings]

// [command]
/// What the program can be asked to do.
#[derive(Debug, Parser)]
#[command(name = "payments", about = "Watches payments.")]
pub enum Command {
    /// Print whether a payment would be reported
    Explain {
        /// Cents
        amount: u64,
        /// The settings.
        #[command(flatten)]
        flags: Flags,
    },
    /// What every service can be asked to do.
    #[command(flatten)]
    Service(citizenk::cli::Command),
}

impl Command {
    /// Carries the command out.
    pub fn execute(self) -> Exit {
        match self {
            Self::Service(command) => command.execute(app()),
            Self::Explain { amount, flags } => match limit(flags) {
                Ok(limit) => {
                    println!(
                        "{}",
                        if amount > limit {
                            "reported"
                        } else {
                            "not reported"
                        }
                    );
                    Exit::OK
                }
                Err(error) => {
                    eprintln!("error: {error}");
                    Exit::from(&error)
                }
            },
        }
    }
}

fn limit(mut flags: Flags) -> Result<u64, RunError> {
    flags.offline = true; // No broker is needed to explain something.
    let settings = citizenk::Settings::load(flags)?;
    Ok(settings.app::<Settings>()?.limit)
}
// [/command]

#[cfg(test)]
mod tests {
    use citizenk::testing::TestApp;

    use super::*;

    // [test]
    #[tokio::test]
    async fn the_limit_comes_from_the_settings() -> citizenk::Result<()> {
        let app = TestApp::new(app).env("APP_LIMIT", "100").start().await?;
        for amount in [99, 100, 101] {
            let currency = "EUR".to_owned();
            app.topic(&PAYMENTS)
                .push(&"ada".into(), Payment { amount, currency });
        }
        app.settle().await;
        assert_eq!(app.topic(&LARGE).sent().len(), 1);
        Ok(())
    }

    #[tokio::test]
    async fn a_missing_setting_is_named() {
        let error = TestApp::new(app).start().await.unwrap_err();
        assert!(error.to_string().contains("APP_LIMIT"), "{error}");
    }

    #[test]
    fn own_commands_and_citizenks_are_one_command_line() {
        for line in [
            "payments explain 5",
            "payments run --embedded",
            "payments topics",
        ] {
            Command::try_parse_from(line.split(' ')).unwrap();
        }
    }
    // [/test]
}
