// All arguments of the attribute at once.
use citizenk::middleware::{CallInfo, Handled, Next};
use ui_tests::*;

async fn timing(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    drop(call);
    next.run().await
}

#[citizenk::agent(topics = [REFUNDS], group = none, start = earliest)]
async fn cache(refund: Event<Refund>) {
    drop(refund);
}

#[citizenk::agent(
    topics = [ORDERS],
    batch_size = 100,
    batch_timeout = "200ms",
    sends = [ALERTS],
    on_decode_error = dead_letter(DLQ),
    on_error = retry(5, backoff = "100ms..10s", then = dead_letter(DLQ)),
    on_produce_error = stop,
    guarantee = exactly_once,
    timeout = "20s",
    concurrency = 8,
    blocking = true,
    name = "all-orders",
    group = "audit",
    start = latest,
    after = [cache],
    wrap = [timing, self::timing],
    handle = AllOrders,
)]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

#[test]
fn they_register() {
    let _ = App::new("test").register::<cache>().register::<AllOrders>();
}
