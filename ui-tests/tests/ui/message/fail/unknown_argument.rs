// Arguments are never ignored.
use ui_tests::*;

#[citizenk::message(cbor)]
struct Parcel {
    id: u32,
}

const PARCELS: Topic<Parcel> = Topic::json("parcels");

fn main() {
    println!("{PARCELS:?}");
}
