// A message of one value is what its value is.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel((u32, u32));

const PARCELS: Topic<Parcel> = Topic::avro("parcels");

fn main() {
    println!("{PARCELS:?}");
}
