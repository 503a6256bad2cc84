// Arguments are never ignored.
use ui_tests::*;

#[citizenk::route(get = "/orders", tags = "orders")]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
