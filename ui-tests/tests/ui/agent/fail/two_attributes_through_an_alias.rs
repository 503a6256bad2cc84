// Under another name the attribute is not seen, but rustc sees both handles.
use ui_tests::*;

use citizenk::agent as handler;

#[citizenk::agent(topics = [ORDERS])]
#[handler(topics = [ORDERS])]
async fn orders(orders: Batch<Order>) {
    drop(orders);
}

fn main() {}
