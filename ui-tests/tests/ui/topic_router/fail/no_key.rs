// Whose request it is must be said.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, get = "/orders/{id}")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
