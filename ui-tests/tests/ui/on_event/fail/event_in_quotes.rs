// Events are words, so that a misspelled one is found.
#[citizenk::on_event("startup")]
async fn warm_up() {}

fn main() {}
