// Where the function is not, its handle is not.
use ui_tests::*;

#[cfg(any())]
#[citizenk::agent(topics = [NOWHERE])]
async fn above(order: Event<Nothing>) {}

#[citizenk::agent(topics = [NOWHERE])]
#[cfg(any())]
async fn below(order: Event<Nothing>) {}

#[cfg(test)]
#[citizenk::agent(topics = [ORDERS])]
async fn there(order: Event<Order>) {
    drop(order);
}

#[test]
fn only_what_is_there_registers() {
    let _ = App::new("test").register::<there>();
}
