// Once is enough.
use ui_tests::*;

#[citizenk::on_event(startup, startup)]
async fn warm_up() {}

fn main() {}
