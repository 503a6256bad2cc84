// When?
use ui_tests::*;

#[citizenk::on_event()]
async fn warm_up() {}

fn main() {}
