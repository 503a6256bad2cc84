// When?
#[citizenk::on_event()]
async fn warm_up() {}

fn main() {}
