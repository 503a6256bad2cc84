// Owner of what?
use ui_tests::*;

#[citizenk::repeat_every("5s", on = owner)]
async fn report() {}

fn main() {}
