// Without a pause it is a busy loop.
#[citizenk::repeat_every("0s")]
async fn report() {}

fn main() {}
