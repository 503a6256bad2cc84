// The records have to go somewhere.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders() {}

fn main() {}
