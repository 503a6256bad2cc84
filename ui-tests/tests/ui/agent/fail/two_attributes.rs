// A function is one component.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
#[citizenk::agent(topics = [REFUNDS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {
    let _ = App::new("test").register::<orders>();
}
