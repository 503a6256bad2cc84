// The expression is a text.
use ui_tests::*;

#[citizenk::repeat_at(5)]
async fn report() {}

fn main() {}
