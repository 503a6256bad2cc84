// It says something about one connection.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, key = "id", get = "/orders/{id}", forward_headers = ["Host"])]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
