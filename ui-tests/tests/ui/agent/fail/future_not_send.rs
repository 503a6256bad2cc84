// Handlers move between threads; an `Rc` does not.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    let shared = std::rc::Rc::new(orders);
    std::future::ready(()).await;
    drop(shared);
}

fn main() {}
