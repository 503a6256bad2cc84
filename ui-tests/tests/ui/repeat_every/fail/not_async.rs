// Timers are asynchronous.
use ui_tests::*;

#[citizenk::repeat_every("5s")]
fn report() {}

fn main() {}
