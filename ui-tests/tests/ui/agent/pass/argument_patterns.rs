// Patterns are the function's own business.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], sends = [ALERTS])]
async fn orders(
    Event {
        value: Order { id },
        ..
    }: Event<Order>,
    Key(key): Key<String>,
    mut out: Outbox,
    _: Shutdown,
) -> citizenk::Result<()> {
    let out = &mut out;
    out.send(&ALERTS, &key, Alert { id })?;
    Ok(())
}

#[test]
fn it_registers() {
    let _ = App::new("test").register::<orders>();
}
