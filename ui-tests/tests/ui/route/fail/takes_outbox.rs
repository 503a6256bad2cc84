// A request has no attempt whose outputs could be staged; `Producer` sends at once.
use ui_tests::*;

#[citizenk::route(post = "/orders")]
async fn orders(out: Outbox, Json(order): Json<Order>) {
    drop((out, order));
}

fn main() {}
