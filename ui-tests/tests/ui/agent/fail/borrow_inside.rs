// Nothing the argument could borrow from.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>, name: State<&str>) {
    drop((orders, name));
}

fn main() {}
