// rustc names what is not there, once.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>, db: State<Database>) {
    drop((orders, db));
}

fn main() {}
