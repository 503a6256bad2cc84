// The attribute derives it too.
use ui_tests::*;

#[citizenk::message]
#[derive(Clone, serde::Serialize, Debug)]
struct Parcel {
    id: u32,
}

const PARCELS: Topic<Parcel> = Topic::json("parcels");

fn main() {
    println!("{PARCELS:?}");
}
