// serde knows no unions.
#[citizenk::message]
union Parcel {
    id: u32,
    weight: f32,
}

fn main() {}
