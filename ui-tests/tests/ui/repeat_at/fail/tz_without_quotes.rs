// A time zone is a text.
#[citizenk::repeat_at("0 6 * * *", tz = Rome)]
async fn report() {}

fn main() {}
