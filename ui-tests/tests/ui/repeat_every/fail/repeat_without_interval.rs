// When?
#[citizenk::repeat_every]
async fn report() {}

fn main() {}
