// What may be returned without `output`.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS])]
async fn outcome(order: Event<Order>) -> Outcome {
    drop(order);
    Outcome::default()
}

#[citizenk::agent(topics = [ORDERS], batch_size = 3)]
async fn batch_outcome(orders: Batch<Order>) -> BatchOutcome {
    orders.iter().map(|_| Outcome::default()).collect()
}

#[citizenk::agent(topics = [ORDERS])]
async fn io_error(order: Event<Order>) -> std::io::Result<()> {
    drop(order);
    Ok(())
}

#[test]
fn they_register() {
    let _ = App::new("test")
        .register::<outcome>()
        .register::<batch_outcome>()
        .register::<io_error>();
}
