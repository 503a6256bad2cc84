// The attribute adds a function of this name.
#[citizenk::module]
mod billing {
    pub fn module() {}
}

fn main() {
    billing::module();
}
