// Topics of different types feed one agent.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS, REFUNDS.as_input::<Order>()])]
async fn orders(order: Event<Order>) {
    drop(order);
}

#[test]
fn it_registers() {
    let _ = App::new("test").register::<orders>();
}
