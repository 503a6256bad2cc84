// A schema has a name; each set of parameters would need one of its own.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel<T> {
    content: T,
}

const PARCELS: Topic<Parcel<u32>> = Topic::json("parcels");

fn main() {
    println!("{PARCELS:?}");
}
