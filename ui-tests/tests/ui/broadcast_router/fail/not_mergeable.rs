// Two texts are not one.
use ui_tests::*;

#[citizenk::broadcast_router(get = "/orders")]
async fn orders() -> Json<String> {
    Json(String::new())
}

fn main() {}
