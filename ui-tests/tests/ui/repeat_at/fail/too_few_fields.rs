// Minute, hour, day, month, day of week.
use ui_tests::*;

#[citizenk::repeat_at("0 6 *")]
async fn report() {}

fn main() {}
