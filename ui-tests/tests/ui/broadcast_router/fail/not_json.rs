// Only JSON is merged.
use ui_tests::*;

#[citizenk::broadcast_router(get = "/orders")]
async fn orders() -> String {
    Order { id: 1 }.id.to_string()
}

fn main() {}
