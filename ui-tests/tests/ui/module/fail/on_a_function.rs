// A function has no items.
#[citizenk::module]
fn billing() {}

fn main() {}
