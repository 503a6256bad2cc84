// It follows one topic.
use ui_tests::*;

#[citizenk::topic_router(topics = [ORDERS, REFUNDS], key = "id", get = "/orders/{id}")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
