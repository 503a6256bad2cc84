// A type that is sent is a message; one attribute makes it one.
use ui_tests::*;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Parcel {
    id: u32,
}

const PARCELS: Topic<Parcel> = Topic::json("parcels");

#[citizenk::agent(topics = [PARCELS])]
async fn parcels(parcels: Batch<Parcel>) {
    drop(parcels);
}

fn main() {}
