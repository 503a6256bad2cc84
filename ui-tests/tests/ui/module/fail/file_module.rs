// The attribute sees nothing of another file.
#[citizenk::module]
#[path = "../../../modules/empty.rs"]
mod billing;

fn main() {}
