// A message outlives the bytes it was read from.
#[citizenk::message]
struct Parcel<'a> {
    name: &'a str,
}

fn main() {}
