// The topic carries refunds.
use ui_tests::*;

#[citizenk::agent(topics = [ORDERS], sends = [REFUNDS])]
async fn orders(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    out.send(&REFUNDS, &String::new(), order.value)?;
    Ok(())
}

fn main() {}
