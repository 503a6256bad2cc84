// The expression is a text.
#[citizenk::repeat_at(5)]
async fn report() {}

fn main() {}
