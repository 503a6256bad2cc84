// Arguments are never ignored.
#[citizenk::repeat_at("0 6 * * *", timezone = "Europe/Rome")]
async fn report() {}

fn main() {}
