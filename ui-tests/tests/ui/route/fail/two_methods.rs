// One function, one endpoint.
use ui_tests::*;

#[citizenk::route(get = "/orders", post = "/orders")]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
