// A prefix is a path.
#[citizenk::module(prefix = "billing")]
mod billing {}

fn main() {}
