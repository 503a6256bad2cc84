// There is no value to call a method on.
use ui_tests::*;

struct Service;

impl Service {
    #[citizenk::agent(topics = [ORDERS])]
    async fn orders(&self, orders: Batch<Order>) {
        drop(orders);
    }
}

fn main() {}
