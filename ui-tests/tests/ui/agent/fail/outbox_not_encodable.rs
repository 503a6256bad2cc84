// The topic is JSON, so its values go through serde.
use ui_tests::*;

#[derive(schemars::JsonSchema)]
struct Receipt {
    id: u32,
}

const RECEIPTS: Topic<Receipt> = Topic::json_output("receipts");

#[citizenk::agent(topics = [ORDERS], sends = [RECEIPTS])]
async fn orders(order: Event<Order>, out: Outbox) -> citizenk::Result<()> {
    out.send(&RECEIPTS, &String::new(), Receipt { id: order.value.id })?;
    Ok(())
}

fn main() {}
