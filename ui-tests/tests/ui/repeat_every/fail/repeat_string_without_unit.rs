// 5 what?
#[citizenk::repeat_every("5")]
async fn report() {}

fn main() {}
