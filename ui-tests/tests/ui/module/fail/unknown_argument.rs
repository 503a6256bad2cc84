// Arguments are never ignored.
use ui_tests::*;

#[citizenk::module(on_eror = skip)]
mod billing {}

fn main() {}
