// Only an agent reaches an end.
use ui_tests::*;

#[citizenk::repeat_every("5s")]
async fn report() {}

#[citizenk::agent(topics = [ORDERS], after = [report])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {
    let _ = App::new("test").register::<report>().register::<orders>();
}
