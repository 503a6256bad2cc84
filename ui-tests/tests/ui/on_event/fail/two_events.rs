// One function, one event.
#[citizenk::on_event(startup, shutdown)]
async fn warm_up() {}

fn main() {}
