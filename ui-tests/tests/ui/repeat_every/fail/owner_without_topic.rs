// Owner of what?
#[citizenk::repeat_every("5s", on = owner)]
async fn report() {}

fn main() {}
