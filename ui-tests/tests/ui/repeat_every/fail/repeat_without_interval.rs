// When?
use ui_tests::*;

#[citizenk::repeat_every]
async fn report() {}

fn main() {}
