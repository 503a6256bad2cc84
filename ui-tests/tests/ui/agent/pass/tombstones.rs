// `Option` admits records without a value.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn events(order: Event<Option<Order>>) {
    drop(order);
}

#[citizenk::agent(topics = [ORDERS], batch_size = 5, batch_timeout = "1s")]
async fn batches(orders: Batch<Event<Option<Order>>>) {
    drop(orders);
}

#[citizenk::agent(topics = [DLQ])]
async fn bytes(letter: Event<RawBytes>) {
    drop(letter);
}

#[test]
fn they_register() {
    let _ = App::new("test")
        .register::<events>()
        .register::<batches>()
        .register::<bytes>();
}
