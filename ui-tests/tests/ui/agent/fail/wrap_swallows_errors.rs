// What was not handled cannot be passed off as handled.
use citizenk::middleware::{CallInfo, Next};
use ui_tests::*;

async fn ignore(call: CallInfo, next: Next) {
    if let Err(error) = next.run().await {
        println!("{call}: {error}");
    }
}

#[citizenk::agent(topics = [ORDERS], wrap = [ignore])]
async fn orders(order: Event<Order>) {
    drop(order);
}

fn main() {
    let _ = App::new("test").register::<orders>();
}
