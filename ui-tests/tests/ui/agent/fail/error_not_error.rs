// What failed must be printable.
use ui_tests::*;

struct MyError;

#[citizenk::agent(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) -> Result<(), MyError> {
    drop(orders);
    Err(MyError)
}

fn main() {}
