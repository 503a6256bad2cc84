// Only what axum can turn into a response.
use ui_tests::*;

#[citizenk::route(get = "/orders")]
async fn orders() -> Order {
    Order { id: 1 }
}

fn main() {}
