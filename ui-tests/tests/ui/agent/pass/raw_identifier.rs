// A keyword may name a function.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn r#match(order: Event<Order>) {
    drop(order);
}

#[test]
fn it_registers() {
    let _ = App::new("test").register::<r#match>();
}
