// The way a field names is one for its type: one error, at the way.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel {
    #[avro(with = citizenk::avro::Micros)]
    id: u32,
}

const PARCELS: Topic<Parcel> = Topic::avro("parcels");

fn main() {
    println!("{PARCELS:?}");
}
