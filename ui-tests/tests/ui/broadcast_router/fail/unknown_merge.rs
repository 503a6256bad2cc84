// There are two ways.
use ui_tests::*;

#[citizenk::broadcast_router(get = "/orders", merge = lists)]
async fn orders() -> Json<Vec<u32>> {
    Json(Vec::new())
}

fn main() {}
