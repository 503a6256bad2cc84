// All workers are asked.
use ui_tests::*;

#[citizenk::broadcast_router(get = "/orders", key = "id")]
async fn orders() -> Json<Vec<u32>> {
    Json(Vec::new())
}

fn main() {}
