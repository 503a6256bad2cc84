// Agents of one shape may be made by a macro.
use ui_tests::*;

macro_rules! counter {
    ($name:ident, $topic:expr, $value:ty, $size:literal) => {
        #[citizenk::agent(topics = [$topic], batch_size = $size)]
        async fn $name(values: Batch<$value>) {
            drop(values);
        }
    };
}

counter!(orders, ORDERS, Order, 10);
counter!(refunds, REFUNDS, Refund, 20);

#[test]
fn they_register() {
    let _ = App::new("test").register::<orders>().register::<refunds>();
}
