// One function, one event.
use ui_tests::*;

#[citizenk::on_event(startup, shutdown)]
async fn warm_up() {}

fn main() {}
