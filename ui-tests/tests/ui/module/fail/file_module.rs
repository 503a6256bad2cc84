// The attribute sees nothing of another file.
use ui_tests::*;

#[citizenk::module]
#[path = "../../../modules/empty.rs"]
mod billing;

fn main() {}
