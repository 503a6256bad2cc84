// A path starts at the root.
use ui_tests::*;

#[citizenk::route(get = "orders")]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
