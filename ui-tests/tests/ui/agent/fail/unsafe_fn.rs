// The runtime cannot know what it would have to promise.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async unsafe fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
