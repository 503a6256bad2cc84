// 5 what?
use ui_tests::*;

#[citizenk::repeat_every(5)]
async fn report() {}

fn main() {}
