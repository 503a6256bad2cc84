// A function is no value.
#[citizenk::message]
fn parcel() {}

fn main() {}
