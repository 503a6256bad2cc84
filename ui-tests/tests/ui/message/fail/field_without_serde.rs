// Every field is written and read.
use ui_tests::*;

struct Weight(u32);

#[citizenk::message]
struct Parcel {
    weight: Weight,
}

fn main() {}
