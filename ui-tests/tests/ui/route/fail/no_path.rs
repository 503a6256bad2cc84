// A route answers somewhere.
use ui_tests::*;

#[citizenk::route()]
async fn orders() -> Json<Vec<Order>> {
    Json(Vec::new())
}

fn main() {}
