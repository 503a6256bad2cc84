use std::sync::{Arc, Mutex};

use super::*;
use crate::__private as p;
use crate::prelude::*;

const ORDERS: Topic<u32> = Topic::json("orders");
const DOUBLED: Topic<u32> = Topic::json("doubled");

type Seen = Arc<Mutex<Vec<u32>>>;

fn doubling() -> crate::__private::ComponentDef {
    let builder = p::agent::<Event<u32>>("double", p::Origin::default())
        .topic(&ORDERS)
        .output(&DOUBLED);
    let builder = builder.requires::<State<Seen>>();
    p::handle::<Event<u32>, _, _, _, _>(
        builder,
        |cx| Ok((<State<Seen> as p::Extract<p::SingleEvent>>::prepare(cx)?,)),
        |prepared, call, event| {
            let seen = <State<Seen> as p::Extract<p::SingleEvent>>::extract(&prepared.0, call)?;
            let reply = p::reply(call);
            Ok(async move {
                seen.0.lock().unwrap().push(event.value);
                reply.send(&DOUBLED, event.value * 2)
            })
        },
    )
    .into()
}

#[test]
fn records_flow_from_topic_to_topic_and_are_committed() {
    let seen = Seen::default();
    let app = App::new("shop").state(seen.clone()).component(doubling());
    block_on(async {
        let app = TestApp::new(app)
            .partitions(&ORDERS, 2)
            .start()
            .await
            .unwrap();
        for n in 0..10 {
            app.topic(&ORDERS).push(&format!("k{n}"), n);
        }
        assert!(seen.lock().unwrap().is_empty());
        app.step().await;
        assert_eq!(seen.lock().unwrap().len(), 1);
        app.settle().await;
        assert_eq!(seen.lock().unwrap().len(), 10);
        let sent = app.topic(&DOUBLED).sent();
        assert_eq!(sent.len(), 10);
        assert!(
            sent.iter()
                .any(|record| record.key.as_deref() == Some("k3") && record.value == Some(6))
        );
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 10);
        app.stop().await.unwrap();
    });
}
