// The route's own path brings the slash.
use ui_tests::*;

#[citizenk::module(prefix = "/billing/")]
mod billing {}

fn main() {}
