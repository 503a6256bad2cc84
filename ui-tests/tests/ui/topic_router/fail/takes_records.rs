// Routers are HTTP handlers.
use ui_tests::*;

#[citizenk::topic_router(topic = ORDERS, key = "id", get = "/orders/{id}")]
async fn order(order: Event<Order>) -> Json<u32> {
    Json(order.value.id)
}

fn main() {}
