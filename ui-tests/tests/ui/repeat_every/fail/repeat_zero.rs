// Without a pause it is a busy loop.
use ui_tests::*;

#[citizenk::repeat_every("0s")]
async fn report() {}

fn main() {}
