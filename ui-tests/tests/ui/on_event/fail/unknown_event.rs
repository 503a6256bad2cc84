// There are four events.
#[citizenk::on_event(start)]
async fn warm_up() {}

fn main() {}
