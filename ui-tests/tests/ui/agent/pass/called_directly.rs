// A handler is an ordinary function, also for its tests.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], output = ALERTS)]
async fn alert(order: Event<Order>, State(limit): State<u32>) -> Option<Alert> {
    (order.value.id > limit).then_some(Alert { id: order.value.id })
}

#[test]
fn it_answers() {
    let _ = App::new("test").register::<alert>();
    let call = std::pin::pin!(alert(Event::new(Order { id: 7 }), State(5)));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert_eq!(
        call.poll(&mut cx),
        std::task::Poll::Ready(Some(Alert { id: 7 }))
    );
}
