// A function that does not compile is reported once, also when it is registered.
use ui_tests::*;

#[citizenk::module]
mod billing {
    use super::*;

    #[citizenk::agent(topics = [])]
    async fn orders(orders: Batch<Order>) {
        drop(orders);
    }
}

fn main() {
    let _ = App::new("test").include(billing::module());
}
