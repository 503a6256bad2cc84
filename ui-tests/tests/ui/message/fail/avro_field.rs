// A pair has no form in Avro: one error, at the type of its field.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel {
    id: u32,
    extra: Option<(u32, u32)>,
}

const PARCELS: Topic<Parcel> = Topic::avro("parcels");

fn main() {
    println!("{PARCELS:?}");
}
