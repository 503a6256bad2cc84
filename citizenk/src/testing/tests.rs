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

#[test]
fn every_mistake_of_an_app_is_told_at_once() {
    let waiting = |name: &str, after: &str| {
        crate::Agent::builder::<Event<u32>>(name)
            .topic(&ORDERS)
            .after_named(after)
            .handle(async |_: Event<u32>, _: Outbox| ())
    };
    let app = App::new("no spaces please")
        .component(doubling())
        .component(doubling())
        .component(waiting("a", "b"))
        .component(waiting("b", "a"))
        .component(waiting("c", "doubel"));
    let error = app.check().unwrap_err().to_string();
    for part in [
        "the name is the consumer group",
        "agent `double`: is registered twice",
        "agent `double`: needs `State<",
        "agent `a`: comes after `b`, which in turn wait for it",
        "agent `b`: comes after `a`, which in turn wait for it",
        "comes after `a`, which reads topic `orders` in the same group",
        "did you mean `double`?",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}
