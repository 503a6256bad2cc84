// The bytes will not change.
use ui_tests::*;

#[citizenk::module(on_decode_error = retry(3))]
mod billing {}

fn main() {}
