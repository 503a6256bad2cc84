// Registration is a value, not a side effect.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(order: Event<Order>) {
    drop(order);
}

#[test]
fn both_have_it() {
    let _ = App::new("one").register::<orders>();
    let _ = App::new("two").register::<orders>();
}
