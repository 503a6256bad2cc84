// The interval has no name.
use ui_tests::*;

#[citizenk::repeat_every(interval = "5s")]
async fn report() {}

fn main() {}
