// A tick has no record.
use ui_tests::*;

#[citizenk::repeat_every("5s")]
async fn report(key: Key<String>) {
    drop(key);
}

fn main() {}
