// A middleware takes the call and what is inside of it.
use citizenk::middleware::{Handled, Next};
use ui_tests::*;

async fn timing(next: Next) -> citizenk::Result<Handled> {
    next.run().await
}

#[citizenk::agent(topics = [ORDERS], wrap = timing)]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {
    let _ = App::new("test").register::<orders>();
}
