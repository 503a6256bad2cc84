// A function has no items.
use ui_tests::*;

#[citizenk::module]
fn billing() {}

fn main() {}
