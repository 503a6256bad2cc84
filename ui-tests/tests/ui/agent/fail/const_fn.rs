// Nothing is handled at compile time.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
const fn orders(orders: Batch<Order>) { let _ = orders; }

fn main() {}
