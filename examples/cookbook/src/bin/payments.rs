//! The cookbook's service with settings and a subcommand of its own.

use clap::Parser;

fn main() -> citizenk::Exit {
    cookbook::service::Command::parse().execute()
}
