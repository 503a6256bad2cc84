// A time zone is a text.
use ui_tests::*;

#[citizenk::repeat_at("0 6 * * *", tz = Rome)]
async fn report() {}

fn main() {}
