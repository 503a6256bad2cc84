// A path stands in quotes.
use ui_tests::*;

#[citizenk::route(get = orders)]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
