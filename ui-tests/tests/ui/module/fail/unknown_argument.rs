// Arguments are never ignored.
#[citizenk::module(on_eror = skip)]
mod billing {}

fn main() {}
