// Components are registered by their type.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {
    let _ = App::new("test").register(orders);
}
