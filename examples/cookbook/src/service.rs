//! A service with settings and a subcommand of its own.

// [settings]
use std::path::PathBuf;

use citizenk::prelude::*;
use citizenk::{Exit, cli};
use clap::{Parser, Subcommand};

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
        .state_with(async |cx| cx.settings::<Settings>())
        .register::<large>()
}
// [/settings]

// [command]
// [/command]
