// Only a function can be called with records.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
struct Orders;

fn main() {}
