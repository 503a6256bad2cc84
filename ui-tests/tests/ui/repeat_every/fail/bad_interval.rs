// A parsec is no unit of time.
#[citizenk::repeat_every("5 parsecs")]
async fn report() {}

fn main() {}
