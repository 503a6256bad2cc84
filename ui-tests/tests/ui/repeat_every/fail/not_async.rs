// Timers are asynchronous.
#[citizenk::repeat_every("5s")]
fn report() {}

fn main() {}
