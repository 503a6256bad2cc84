// A module of the function's name is no trouble with a handle of another.
use ui_tests::*;

mod orders {
    pub(super) const LIMIT: u32 = 5;
}

#[citizenk::agent(topics = [ORDERS], handle = OrdersAgent)]
async fn orders(order: Event<Order>) {
    assert!(order.value.id < orders::LIMIT);
}

#[test]
fn it_registers() {
    let _ = App::new("test").register::<OrdersAgent>();
}
