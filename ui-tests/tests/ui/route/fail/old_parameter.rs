// axum 0.8 names parameters in braces.
use ui_tests::*;

#[citizenk::route(get = "/orders/:id")]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
