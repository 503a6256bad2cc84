//! Exactly once on the in-memory cluster, whose transactions are atomic and can be made to fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use crate::prelude::*;
use crate::testing::{TestApp, block_on};
use crate::transport::TransportError;
use crate::transport::memory::TransactionOrder;
use crate::{Agent, AgentDef, Guarantee, Policy};

const IN: Topic<u32> = Topic::json("in");
const OUT: Topic<u32> = Topic::json("out");
const LETTERS: Topic<RawBytes> = Topic::raw("letters");

/// The values a handler was called with, in order.
type Calls = Arc<Mutex<Vec<u32>>>;

/// Sends each value on, times ten.
fn tenfold(name: &str, calls: &Calls, policy: Policy) -> AgentDef {
    let calls = calls.clone();
    Agent::builder::<Event<u32>>(name)
        .topic(&IN)
        .sends(&OUT)
        .on_error(Policy::dead_letter(&LETTERS))
        .on_produce_error(policy)
        .guarantee(Guarantee::ExactlyOnce)
        .handle(move |event: Event<u32>, out: Outbox| {
            calls.lock().unwrap().push(event.value);
            async move {
                if event.value == 13 {
                    return Err(AgentError::dead_letter("unlucky"));
                }
                out.send(&OUT, &event.value.to_string(), event.value * 10)?;
                Ok(())
            }
        })
}

fn app(calls: &Calls, policy: Policy) -> App {
    App::new("txn").component(tenfold("tenfold", calls, policy))
}

async fn start(app: App) -> TestApp {
    TestApp::new(app)
        .partitions(&IN, 1)
        .partitions(&OUT, 1)
        .start()
        .await
        .unwrap()
}

fn push(app: &TestApp, values: impl IntoIterator<Item = u32>) {
    for value in values {
        app.topic(&IN).push(&"k".to_owned(), value);
    }
}

fn sent(app: &TestApp) -> Vec<u32> {
    let sent = app.topic(&OUT).sent();
    sent.into_iter().filter_map(|record| record.value).collect()
}

#[test]
fn outputs_dead_letters_and_offsets_become_visible_together() {
    let calls = Calls::default();
    block_on(async {
        let app = start(app(&calls, Policy::stop())).await;
        push(&app, [1, 13, 2]);
        app.settle().await;
        assert_eq!(sent(&app), [10, 20]);
        assert_eq!(app.dead_letters().len(), 1);
        assert_eq!(app.committed(&IN)[&0], 3);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_transaction_that_did_not_happen_is_tried_again_without_calling_handlers() {
    for order in [
        TransactionOrder::AbortableCommit,
        TransactionOrder::LostCommit { happened: false },
        TransactionOrder::LostCommit { happened: true },
        TransactionOrder::DoubtfulEnd,
        TransactionOrder::FencedBegin,
        TransactionOrder::FencedOffsets,
    ] {
        let calls = Calls::default();
        block_on(async {
            let app = start(app(&calls, Policy::stop())).await;
            app.cluster.order_transaction(order);
            push(&app, [1, 2, 3]);
            app.advance("5s").await;
            push(&app, [4]);
            app.advance("5s").await;
            assert_eq!(sent(&app), [10, 20, 30, 40], "{order:?}");
            assert_eq!(*calls.lock().unwrap(), [1, 2, 3, 4], "{order:?}");
            assert_eq!(app.committed(&IN)[&0], 4, "{order:?}");
            app.stop().await.unwrap();
        });
    }
}

#[test]
fn outputs_wait_for_every_agent_of_the_topic() {
    let calls = Calls::default();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = gate.clone();
    let slow = Agent::builder::<Event<u32>>("slow")
        .topic(&IN)
        .guarantee(Guarantee::ExactlyOnce)
        .handle(move |_: Event<u32>, _: Outbox| {
            let held = held.clone();
            async move { held.acquire().await.unwrap().forget() }
        });
    block_on(async {
        let app = start(app(&calls, Policy::stop()).component(slow)).await;
        push(&app, [1, 2, 3]);
        app.settle().await;
        assert_eq!(calls.lock().unwrap().len(), 3);
        assert!(sent(&app).is_empty(), "no output without its offset");
        gate.add_permits(3);
        app.settle().await;
        assert_eq!(sent(&app), [10, 20, 30]);
        assert_eq!(app.committed(&IN)[&0], 3);
        app.stop().await.unwrap();
    });
}

#[test]
fn what_the_broker_may_still_take_is_sent_again_and_the_rest_meets_the_policy() {
    let refused = TransportError {
        context: "producing".to_owned(),
        code: "INVALID_RECORD".to_owned(),
        message: "refused".to_owned(),
        retriable: false,
        fatal: false,
    };
    let late = TransportError {
        retriable: true,
        ..refused.clone()
    };
    for (policy, error, out, letters) in [
        (Policy::stop(), &late, vec![10, 20], 0),
        (Policy::skip(), &refused, vec![20], 0),
        (Policy::dead_letter(&LETTERS), &refused, vec![20], 1),
        (Policy::retry(1).then_skip(), &refused, vec![10, 20], 0),
    ] {
        let calls = Calls::default();
        block_on(async {
            let name = policy.to_string();
            let app = start(app(&calls, policy)).await;
            app.cluster.fail_next("out", 1, error);
            push(&app, [1, 2]);
            app.advance("10s").await;
            assert_eq!(sent(&app), out, "{name}");
            assert_eq!(app.dead_letters().len(), letters, "{name}");
            assert_eq!(app.committed(&IN)[&0], 2, "{name}");
            assert_eq!(calls.lock().unwrap().len(), 2, "{name}");
            app.stop().await.unwrap();
        });
    }
}

#[test]
fn of_a_batch_refused_for_one_record_only_that_meets_the_policy() {
    let refused = TransportError {
        context: "producing".to_owned(),
        code: "MSG_SIZE_TOO_LARGE".to_owned(),
        message: "too large".to_owned(),
        retriable: false,
        fatal: false,
    };
    // One spoils the batch; then it is refused alone.
    for (policy, out, letters) in [
        (Policy::skip(), vec![20, 30], 0),
        (Policy::dead_letter(&LETTERS), vec![20, 30], 1),
    ] {
        let calls = Calls::default();
        block_on(async {
            let name = policy.to_string();
            let app = start(app(&calls, policy)).await;
            app.cluster.fail_next("out", 2, &refused);
            push(&app, [1, 2, 3]);
            app.advance("10s").await;
            assert_eq!(sent(&app), out, "{name}");
            assert_eq!(app.dead_letters().len(), letters, "{name}");
            push(&app, [4]);
            app.advance("10s").await;
            assert_eq!(sent(&app).last(), Some(&40), "{name}");
            assert_eq!(app.committed(&IN)[&0], 4, "{name}");
            assert_eq!(*calls.lock().unwrap(), [1, 2, 3, 4], "{name}");
            app.stop().await.unwrap();
        });
    }
}

#[test]
fn an_output_that_cannot_be_delivered_stops_the_service_and_nothing_is_visible() {
    let calls = Calls::default();
    block_on(async {
        let app = start(app(&calls, Policy::stop())).await;
        let refused = TransportError {
            context: "producing".to_owned(),
            code: "TOPIC_AUTHORIZATION_FAILED".to_owned(),
            message: "no".to_owned(),
            retriable: false,
            fatal: false,
        };
        push(&app, [1, 2]);
        app.cluster.fail_next("out", 1, &refused);
        app.advance("1s").await;
        assert!(sent(&app).is_empty());
        assert_eq!(app.committed(&IN)[&0], 0);
        let error = app.stop().await.unwrap_err().to_string();
        assert!(
            error.contains("agent `tenfold` stopped the service") && error.contains("topic `out`"),
            "{error}"
        );
    });
}

#[test]
fn with_concurrency_outputs_leave_in_input_order() {
    let calls = Calls::default();
    let seen = calls.clone();
    // The first record takes longest.
    let agent = Agent::builder::<Event<u32>>("many")
        .topic(&IN)
        .sends(&OUT)
        .concurrency(8)
        .guarantee(Guarantee::ExactlyOnce)
        .handle(move |event: Event<u32>, out: Outbox| {
            let seen = seen.clone();
            async move {
                let pause = Duration::from_millis(u64::from(10 - event.value));
                tokio::time::sleep(pause).await;
                seen.lock().unwrap().push(event.value);
                out.send(&OUT, &"k".to_owned(), event.value)
                    .map_err(AgentError::new)
            }
        });
    block_on(async {
        let app = start(App::new("txn").component(agent)).await;
        for value in 1..=5_u32 {
            app.topic(&IN).push(&format!("key {value}"), value);
        }
        app.advance("1s").await;
        assert_eq!(*calls.lock().unwrap(), [5, 4, 3, 2, 1]);
        assert_eq!(sent(&app), [1, 2, 3, 4, 5]);
        app.stop().await.unwrap();
    });
}

#[test]
fn a_record_waits_on_its_retry_topic_by_transactions_too() {
    let calls = Calls::default();
    let seen = calls.clone();
    let agent = Agent::builder::<Event<u32>>("later")
        .topic(&IN)
        .sends(&OUT)
        .on_error(Policy::retry_topics([Duration::from_secs(30)]).then_dead_letter(&LETTERS))
        .guarantee(Guarantee::ExactlyOnce)
        .handle(move |event: Event<u32>, out: Outbox| {
            seen.lock().unwrap().push(event.value);
            let second = seen
                .lock()
                .unwrap()
                .iter()
                .filter(|v| **v == event.value)
                .count()
                == 2;
            async move {
                if event.value == 13 || event.value == 7 && !second {
                    return Err(AgentError::new("not yet"));
                }
                out.send(&OUT, &event.value.to_string(), event.value)?;
                Ok(())
            }
        });
    block_on(async {
        let app = start(App::new("txn").component(agent)).await;
        push(&app, [7, 13, 8]);
        app.advance("1s").await;
        assert_eq!(sent(&app), [8]);
        assert_eq!(app.committed(&IN)[&0], 3);
        app.cluster
            .order_transaction(TransactionOrder::LostCommit { happened: false });
        app.advance("40s").await;
        assert_eq!(sent(&app), [8, 7]);
        assert_eq!(app.dead_letters().len(), 1);
        assert_eq!(calls.lock().unwrap().len(), 5);
        app.stop().await.unwrap();
    });
}

#[test]
fn guarantees_of_one_group_and_topic_have_to_agree() {
    let calls = Calls::default();
    let other = Agent::builder::<Event<u32>>("other")
        .topic(&IN)
        .handle(async |_: Event<u32>, _: Outbox| ());
    let error = app(&calls, Policy::stop())
        .component(other)
        .check()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "agent `other`: reads topic `in` with guarantee at_least_once, agent `tenfold`"
        ),
        "{error}"
    );
    let groupless = Agent::builder::<Event<u32>>("groupless")
        .topic(&IN)
        .groupless()
        .guarantee(Guarantee::ExactlyOnce)
        .handle(async |_: Event<u32>, _: Outbox| ());
    let error = App::new("txn").component(groupless).check().unwrap_err();
    assert!(error.to_string().contains("exactly once needs a group"));
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Order(TransactionOrder),
    Refuse(u8),
    Rebalance,
    Lose(u8),
    Restart,
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let order = prop_oneof![
        Just(TransactionOrder::AbortableCommit),
        Just(TransactionOrder::LostCommit { happened: true }),
        Just(TransactionOrder::LostCommit { happened: false }),
        Just(TransactionOrder::DoubtfulEnd),
        Just(TransactionOrder::FencedBegin),
        Just(TransactionOrder::FencedOffsets),
    ];
    prop_oneof![
        4 => (1..30_u8).prop_map(Step::Push),
        3 => order.prop_map(Step::Order),
        1 => (1..4_u8).prop_map(Step::Refuse),
        1 => Just(Step::Rebalance),
        1 => (0..2_u8).prop_map(Step::Lose),
        1 => Just(Step::Restart),
        2 => (1..2000_u16).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Two workers, four partitions, and every fault there is in any order: each input has one output.
    #[test]
    fn each_input_has_one_output_whatever_fails(steps in prop::collection::vec(step(), 1..25)) {
        let calls = Calls::default();
        let source = app(&calls, Policy::stop());
        block_on(async {
            let mut app = TestApp::new(source).workers(2).partitions(&IN, 4).start().await.unwrap();
            let mut pushed = 0_u32;
            for step in &steps {
                match step {
                    Step::Push(count) => for _ in 0..*count {
                        pushed += 1;
                        let value = pushed + 100;
                        app.topic(&IN).push(&value.to_string(), value);
                    },
                    Step::Order(order) => app.cluster.order_transaction(*order),
                    Step::Refuse(count) => app.fail_next(&OUT, usize::from(*count)),
                    Step::Rebalance => app.rebalance().await,
                    Step::Lose(worker) => { app.lose_worker(usize::from(*worker)).await; }
                    Step::Restart => app.restart().await.unwrap(),
                    Step::Wait(millis) => app.advance(&format!("{millis}ms")).await,
                }
            }
            app.advance("10m").await;
            let mut values = sent(&app);
            values.sort_unstable();
            let expected: Vec<u32> = (1..=pushed).map(|number| (number + 100) * 10).collect();
            prop_assert_eq!(values, expected);
            prop_assert_eq!(app.committed(&IN).values().sum::<i64>(), i64::from(pushed));
            app.stop().await.unwrap();
            Ok(())
        })?;
    }
}
