// Handlers are asynchronous.
use ui_tests::*;

#[citizenk::route(get = "/orders")]
fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
