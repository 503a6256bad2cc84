// A message within an Avro message is an Avro message, too.
use ui_tests::*;

#[citizenk::message(avro)]
struct Parcel {
    orders: Vec<Order>,
    /// Says how it is written.
    #[avro(with = citizenk::avro::Micros)]
    at: DateTime<Utc>,
}

const PARCELS: Topic<Parcel> = Topic::avro("parcels");

fn main() {
    println!("{PARCELS:?}");
}
