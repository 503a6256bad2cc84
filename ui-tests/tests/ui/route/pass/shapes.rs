// What axum takes and answers.
use ui_tests::*;

#[citizenk::route(get = "/")]
async fn nothing() {}

#[citizenk::route(get = "/text", tag = "text")]
async fn text() -> &'static str {
    "text"
}

/// One order.
///
/// The first there is.
#[citizenk::route(get = "/orders/{id}", name = "one-order")]
async fn one(Path(id): Path<u32>) -> Result<Json<Order>, Problem> {
    Ok(Json(Order { id }))
}

#[citizenk::route(post = "/orders")]
async fn create(
    producer: Producer,
    State(limit): State<u32>,
    Json(order): Json<Order>,
) -> Json<Order> {
    drop((producer, limit));
    Json(order)
}

#[citizenk::route(put = "/files/{*path}")]
async fn put(Path(path): Path<String>, body: String) -> String {
    path + &body
}

#[citizenk::route(delete = "/orders/{id}", handle = DeleteOrder)]
async fn delete(Path(id): Path<u32>) -> impl axum::response::IntoResponse {
    id.to_string()
}

#[citizenk::route(patch = "/orders/{id}")]
async fn patch(Path(id): Path<u32>, order: Option<Json<Order>>) {
    let _ = (id, order);
}

#[test]
fn they_register() {
    let _ = App::new("test")
        .register::<nothing>()
        .register::<text>()
        .register::<one>()
        .register::<create>()
        .register::<put>()
        .register::<patch>()
        .register::<DeleteOrder>();
}
