// The first argument takes the records.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(count: u32) {
    let _ = count;
}

fn main() {}
