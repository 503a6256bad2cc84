// Arguments are known by their types.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async unsafe extern "C" fn orders(orders: Batch<Order>, ...) {
    drop(orders);
}

fn main() {}
