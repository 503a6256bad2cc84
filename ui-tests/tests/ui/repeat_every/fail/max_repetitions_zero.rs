// Then why have it?
#[citizenk::repeat_every("5s", max_repetitions = 0)]
async fn report() {}

fn main() {}
