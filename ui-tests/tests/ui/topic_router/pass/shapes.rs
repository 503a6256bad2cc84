// Where keys stand, and what goes along.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], name = "all-orders")]
async fn count(order: Event<Order>) {
    drop(order);
}

#[citizenk::topic_router(topic = ORDERS, key = "id", get = "/orders/{id}", agent = count,
                         forward_headers = ["authorization", "x-tenant"], tag = "orders")]
async fn in_path(Path(id): Path<String>) -> Result<Json<String>, Problem> {
    Ok(Json(id))
}

#[citizenk::topic_router(topic = ORDERS, key = "order", delete = "/orders")]
async fn in_query() {}

#[citizenk::topic_router(topic = ORDERS, key = body.order.id, post = "/orders", name = "in-body")]
async fn in_body(Json(order): Json<Order>) -> Json<Order> {
    Json(order)
}

#[citizenk::broadcast_router(get = "/all")]
async fn all() -> Result<Json<Vec<Order>>, Problem> {
    Ok(Json(Vec::new()))
}

#[citizenk::broadcast_router(get = "/each", merge = list, agent = count)]
async fn each() -> Json<String> {
    Json(String::new())
}

#[test]
fn they_register() {
    App::new("orders")
        .register::<count>()
        .register::<in_path>()
        .register::<in_query>()
        .register::<in_body>()
        .register::<all>()
        .register::<each>()
        .check()
        .unwrap();
}
