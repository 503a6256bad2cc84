// What Avro cannot express is said at the word that means it.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel {
    id: u32,
    #[serde(flatten)]
    size: Size,
}

#[citizenk::message(avro)]
struct Size {
    width: u32,
}

const PARCELS: Topic<Parcel> = Topic::json("parcels");

fn main() {
    println!("{PARCELS:?}");
}
