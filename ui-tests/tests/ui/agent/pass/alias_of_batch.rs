// An alias is as good as the type: what counts is the trait.
use ui_tests::*;

type Orders = Batch<Order>;

#[citizenk::agent(topics = [ORDERS], batch_size = 10)]
async fn orders(orders: Orders) {
    drop(orders);
}

#[test]
fn it_registers() {
    let _ = App::new("test").register::<orders>();
}
