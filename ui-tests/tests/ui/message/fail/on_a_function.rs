// A function is no value.
use ui_tests::*;

#[citizenk::message]
fn parcel() {}

fn main() {}
