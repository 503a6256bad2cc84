// serde knows no unions.
use ui_tests::*;

#[citizenk::message]
union Parcel {
    id: u32,
    weight: f32,
}

fn main() {}
