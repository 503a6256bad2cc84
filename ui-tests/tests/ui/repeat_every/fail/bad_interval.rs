// A parsec is no unit of time.
use ui_tests::*;

#[citizenk::repeat_every("5 parsecs")]
async fn report() {}

fn main() {}
