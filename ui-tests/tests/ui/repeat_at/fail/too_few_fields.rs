// Minute, hour, day, month, day of week.
#[citizenk::repeat_at("0 6 *")]
async fn report() {}

fn main() {}
