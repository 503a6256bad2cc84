// A timer runs on every worker or on one.
use ui_tests::*;

#[citizenk::repeat_every("5s", on = ones)]
async fn report() {}

fn main() {}
