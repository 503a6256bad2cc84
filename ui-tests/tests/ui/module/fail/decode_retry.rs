// The bytes will not change.
#[citizenk::module(on_decode_error = retry(3))]
mod billing {}

fn main() {}
