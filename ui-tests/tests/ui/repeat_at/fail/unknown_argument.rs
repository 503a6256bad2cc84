// Arguments are never ignored.
use ui_tests::*;

#[citizenk::repeat_at("0 6 * * *", timezone = "Europe/Rome")]
async fn report() {}

fn main() {}
