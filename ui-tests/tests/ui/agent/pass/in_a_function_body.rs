// Everything an agent needs may be local.
use ui_tests::*;

#[test]
fn it_registers() {
    const LOCAL: Topic<Order> = Topic::json("local");

    #[citizenk::agent(topics = [LOCAL])]
    async fn orders(order: Event<Order>) {
        drop(order);
    }

    let _ = App::new("test").register::<orders>();
}
