// When?
#[citizenk::repeat_at()]
async fn report() {}

fn main() {}
