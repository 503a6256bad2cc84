// What messages become.
use ui_tests::*;

#[citizenk::websocket_in(topic = ORDERS, route = "/ws/plain")]
async fn plain(Json(order): Json<Order>) -> (String, Order) {
    (order.id.to_string(), order)
}

#[citizenk::websocket_in(topic = ORDERS, route = "/ws/{shop}", name = "orders-in")]
async fn checked(
    Json(order): Json<Order>,
    Path(shop): Path<String>,
    State(limit): State<u32>,
) -> Result<Option<(String, Order)>, Problem> {
    if order.id > limit {
        return Err(Problem::unprocessable("too large"));
    }
    Ok(Some((shop, order)))
}

#[test]
fn it_registers() {
    let _ = App::new("orders").state(7_u32).register::<plain>().register::<checked>();
}
