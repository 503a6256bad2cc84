// The function itself, not a call of it.
use citizenk::middleware::{CallInfo, Handled, Next};
use ui_tests::*;

async fn timing(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    drop(call);
    next.run().await
}

#[citizenk::agent(topics = [ORDERS], wrap = timing())]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {
    let _ = timing;
    let _ = App::new("test").register::<orders>();
}
