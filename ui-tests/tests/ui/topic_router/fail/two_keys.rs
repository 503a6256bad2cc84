// One request, one key.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, key = "id", key = body.id, get = "/orders/{id}")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
