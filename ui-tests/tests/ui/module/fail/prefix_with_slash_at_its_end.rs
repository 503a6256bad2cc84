// The route's own path brings the slash.
#[citizenk::module(prefix = "/billing/")]
mod billing {}

fn main() {}
