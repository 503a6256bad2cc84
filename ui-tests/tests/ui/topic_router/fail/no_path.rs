// Clients must find it.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, key = "id")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
