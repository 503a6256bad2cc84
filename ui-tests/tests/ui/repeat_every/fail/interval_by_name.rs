// The interval has no name.
#[citizenk::repeat_every(interval = "5s")]
async fn report() {}

fn main() {}
