// Which one would `id` be?
use ui_tests::*;

#[citizenk::route(get = "/orders/{id}/items/{id}")]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
