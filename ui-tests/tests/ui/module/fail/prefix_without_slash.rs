// A prefix is a path.
use ui_tests::*;

#[citizenk::module(prefix = "billing")]
mod billing {}

fn main() {}
