// The body can be read once, by the last argument.
use ui_tests::*;

#[citizenk::route(post = "/orders")]
async fn orders(Json(order): Json<Order>, producer: Producer) {
    drop((order, producer));
}

fn main() {}
