// A type that is sent is a message; one attribute makes it one.
use ui_tests::*;

#[derive(Clone)]
struct Parcel;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(parcels: Batch<Parcel>) {
    drop(parcels);
}

fn main() {}
