// The attribute adds a function of this name.
use ui_tests::*;

#[citizenk::module]
mod billing {
    pub fn module() {}
}

fn main() {
    billing::module();
}
