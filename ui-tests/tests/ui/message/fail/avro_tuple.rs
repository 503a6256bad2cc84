// A record has fields with names.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel(u32, u32);

const PARCELS: Topic<Parcel> = Topic::json("parcels");

fn main() {
    println!("{PARCELS:?}");
}
