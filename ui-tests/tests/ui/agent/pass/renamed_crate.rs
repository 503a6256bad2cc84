// The library may have another name.
use ui_tests::*;

#[citizenk::agent(crate = ck, topics = [ORDERS], on_error = skip)]
async fn orders(order: Event<Order>) {
    drop(order);
}

#[citizenk::message(crate = ::ck)]
struct Renamed {
    id: u32,
}

#[test]
fn it_registers() {
    let _ = ck::App::new("test").register::<orders>();
    let topic: ck::Topic<Renamed> = ck::Topic::json("renamed");
    assert_eq!(topic.name(), "renamed");
    assert_eq!(Renamed { id: 1 }.id, 1);
}
