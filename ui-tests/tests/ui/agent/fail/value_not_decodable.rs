// The topic is JSON, so its values come through serde.
use ui_tests::*;

#[derive(schemars::JsonSchema)]
struct Receipt {
    id: u32,
}

impl citizenk::Message for Receipt {}

const RECEIPTS: Topic<Receipt> = Topic::json_input("receipts");

#[citizenk::agent(topics = [RECEIPTS])]
async fn receipts(receipt: Event<Receipt>) {
    let _ = receipt.value.id;
}

fn main() {}
