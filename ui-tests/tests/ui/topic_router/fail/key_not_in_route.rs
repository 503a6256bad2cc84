// The path's parameter is spelt otherwise.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, key = "order_ids", get = "/orders/{order_id}")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
