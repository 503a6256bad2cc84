use citizenk::registry::{EmbeddedRegistry, NewSchema};
use citizenk::schema::Frame;
use citizenk::testing::{TestApp, block_on};

use super::*;

fn order(id: i64, amount: i64) -> Order {
    Order {
        id,
        customer: "Ada".to_owned(),
        amount: rust_decimal::Decimal::new(amount, 2),
        placed: DateTime::from_timestamp_millis(1_735_689_600_123).unwrap_or_default(),
        note: None,
    }
}

#[test]
fn orders_are_converted_down_and_added_up() -> Result<(), citizenk::RunError> {
    block_on(async {
        let app = TestApp::new(app).partitions(&ORDERS, 1).start().await?;
        app.topic(&ORDERS).push(&1, order(1, 1230));
        app.topic(&ORDERS).push(&2, order(2, 70));
        app.settle().await;
        let old: Vec<_> = app
            .topic(&ORDERS_V1)
            .sent()
            .into_iter()
            .filter_map(|record| record.value)
            .collect();
        assert!(
            old.contains(&OrderV1 {
                id: 1,
                customer: "Ada".to_owned(),
                amount: 12.3
            }),
            "{old:?}"
        );
        let totals = app.topic(&TOTALS).sent();
        let last = totals
            .iter()
            .filter_map(|record| record.value.as_ref())
            .find(|total| total.orders >= 2);
        assert!(last.is_some(), "{totals:?}");
        app.stop().await
    })
}

#[test]
fn an_order_from_before_there_were_notes_is_read() -> Result<(), Box<dyn std::error::Error>> {
    block_on(async {
        let embedded = EmbeddedRegistry::new();
        let registry = embedded.registry();
        // As it was written before there were notes.
        let before = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
            {"name": "id", "type": "long"}, {"name": "customer", "type": "string"},
            {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
            {"name": "placed", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;
        let id = registry
            .register("orders.v2-value", &NewSchema::avro(before))
            .await?;
        let with = |registry: citizenk::registry::Registry| {
            move || app().registry("default", registry.clone())
        };
        let app = TestApp::new(with(registry.clone())).start().await?;
        let mut bytes = Vec::new();
        Frame::begin(id, &mut bytes);
        // 7, "Ada", 12.30, the first millisecond.
        bytes.extend([14, 6, b'A', b'd', b'a', 4, 0x04, 0xCE, 2]);
        app.topic(&ORDERS).push_raw(Some(b"7"), &bytes);
        app.settle().await;
        let old: Vec<_> = app
            .topic(&ORDERS_V1)
            .sent()
            .into_iter()
            .filter_map(|record| record.value)
            .collect();
        assert!(
            old.iter()
                .any(|order| order.id == 7 && order.amount == 12.3),
            "{old:?}"
        );
        app.stop().await?;
        Ok(())
    })
}
