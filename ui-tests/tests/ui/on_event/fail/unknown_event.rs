// There are four events.
use ui_tests::*;

#[citizenk::on_event(start)]
async fn warm_up() {}

fn main() {}
