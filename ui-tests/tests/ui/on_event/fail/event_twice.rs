// Once is enough.
#[citizenk::on_event(startup, startup)]
async fn warm_up() {}

fn main() {}
