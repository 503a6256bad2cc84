// A message outlives the bytes it was read from.
use ui_tests::*;

#[citizenk::message]
struct Parcel<'a> {
    name: &'a str,
}

fn main() {}
