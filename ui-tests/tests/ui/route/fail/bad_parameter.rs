// A parameter is a whole segment.
use ui_tests::*;

#[citizenk::route(get = "/orders/{id")]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
