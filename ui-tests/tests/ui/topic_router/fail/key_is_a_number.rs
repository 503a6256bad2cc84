// A key is named.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, key = 7, get = "/orders/{id}")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
