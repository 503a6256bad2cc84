// A timer runs on every worker or on one.
#[citizenk::repeat_every("5s", on = ones)]
async fn report() {}

fn main() {}
