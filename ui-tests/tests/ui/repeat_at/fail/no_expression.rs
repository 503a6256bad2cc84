// When?
use ui_tests::*;

#[citizenk::repeat_at()]
async fn report() {}

fn main() {}
