// Agents have groups, functions have not.
use ui_tests::*;

fn helper() {}

#[citizenk::topic_router(topic = ORDERS, key = "id", agent = helper, get = "/orders/{id}")]
async fn order(Path(id): Path<u32>) -> Json<u32> {
    Json(id)
}

fn main() {}
