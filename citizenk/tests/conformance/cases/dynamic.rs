//! Agents that come and go while the service runs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use citizenk::prelude::*;
use citizenk::{
    Agent, AgentDef, AgentState, Agents, AgentsError, RawRecords, ReadFrom, TopicPartition,
};

use super::{Broker, DONE, Gate, ORDERS, Order, Push, Seen, World};

/// `refunds` is the topic of the agent that was there before.
const REFUNDS: Topic<Order, u32> = Topic::json("refunds");
const TOPICS: [(&str, usize); 3] = [("orders", 1), ("refunds", 2), ("done", 1)];

/// What a start-up hook hands out.
#[derive(Clone, Default)]
struct Hands(Arc<Mutex<Option<Agents>>>);

#[citizenk::on_event(startup)]
async fn hand_out(agents: Agents, State(hands): State<Hands>) {
    *hands.0.lock().unwrap() = Some(agents);
}

#[citizenk::agent(topics = [REFUNDS])]
async fn other(order: Event<Order>, State(seen): State<Others>) {
    let (partition, offset) = (order.partition(), order.offset());
    seen.0.lock().unwrap().push((partition, offset));
}

/// Partition and offset of all that the other agent saw.
#[derive(Clone, Default)]
struct Others(Arc<Mutex<Vec<(i32, i64)>>>);

impl Others {
    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Each partition from its first record on, each record once, in order.
    fn check(&self) {
        for partition in 0..2 {
            let seen = self.0.lock().unwrap();
            let seen = seen.iter().filter(|(at, _)| *at == partition);
            for (expected, (_, offset)) in seen.enumerate() {
                assert_eq!(*offset, expected as i64, "of partition {partition}");
            }
        }
    }
}

struct Running {
    world: World,
    agents: Agents,
    seen: Seen,
    others: Others,
    pushed: u32,
}

impl Running {
    async fn start(
        broker: Broker,
        topics: &[(&'static str, usize)],
        setting: Option<&str>,
    ) -> Self {
        let mut world = broker.open(topics).await;
        if let Some(setting) = setting {
            world.with_consumer(setting);
        }
        let (seen, others, hands) = (Seen::default(), Others::default(), Hands::default());
        let app = super::app(&seen, &Gate::closed())
            .state(others.clone())
            .state(hands.clone())
            .topic(&ORDERS)
            .topic(&DONE)
            .register::<hand_out>()
            .register::<other>();
        world.start(app).await;
        world
            .until("the service has started", || {
                hands.0.lock().unwrap().is_some()
            })
            .await;
        let agents = hands.0.lock().unwrap().clone().unwrap();
        let mut running = Self {
            world,
            agents,
            seen,
            others,
            pushed: 0,
        };
        running.keep_flowing().await;
        running
    }

    /// The other agent gets ten more records.
    async fn keep_flowing(&mut self) {
        let ids = self.pushed..self.pushed + 10;
        let push = |id: u32| Push::order(id).on((id % 2) as i32);
        self.world.push("refunds", ids.map(push));
        self.pushed += 10;
        let (others, pushed) = (self.others.clone(), self.pushed as usize);
        self.world
            .until("the other agent has read on", || others.len() >= pushed)
            .await;
        self.others.check();
        assert_eq!(self.others.len(), pushed, "nothing was read again");
    }

    fn agent(&self, name: &str, topic: &str) -> AgentDef {
        let seen = self.seen.clone();
        Agent::builder::<Event<Order>>(name)
            .topics(&ORDERS, [topic])
            .handle(move |order: Event<Order>, _| {
                seen.say(order.value.id);
                async {}
            })
    }

    async fn rebalances(&self) -> f64 {
        let metrics = self.world.metrics().await;
        metrics
            .lines()
            .filter(|line| line.starts_with("citizenk_rebalances_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until as many have come, and answers them.
    async fn until(&self, len: usize) -> Vec<u32> {
        let seen = self.seen.until(&self.world, len).await;
        assert_eq!(seen.len(), len, "{seen:?}");
        seen.iter().map(|id| id.parse().unwrap()).collect()
    }
}

pub(crate) async fn a_start_and_a_stop_leave_another_agent_alone(broker: Broker) {
    let mut running = Running::start(broker, &TOPICS, None).await;
    running.world.push_orders(0..10);
    for round in 1..=3_u32 {
        let late = running.agent("late", "orders");
        let late = running.agents.start(late).await.unwrap();
        running.keep_flowing().await;
        assert_eq!(
            running.until(round as usize * 10).await.len(),
            round as usize * 10
        );
        running.keep_flowing().await;
        late.stop().await.unwrap();
        assert_eq!(late.status().state, AgentState::Stopped);
        running.world.push_orders(round * 10..round * 10 + 10);
        running.keep_flowing().await;
        running.world.until_at(i64::from(round) * 10).await;
    }
    let all = running.until(30).await;
    assert_eq!(all, (0..30).collect::<Vec<_>>(), "each once and in order");
    running.world.stop().await.unwrap();
}

pub(crate) async fn many_starts_are_one_rebalance(broker: Broker) {
    let names: Vec<&'static str> = crate::MANY.to_vec();
    let topics: Vec<(&'static str, usize)> = TOPICS
        .into_iter()
        .chain(names.iter().map(|name| (*name, 1)))
        .collect();
    let mut running = Running::start(broker, &topics, None).await;
    let before = running.rebalances().await;
    for name in &names {
        running.world.push(name, [Push::order(1)]);
    }
    let starting = names
        .iter()
        .map(|name| running.agents.start(running.agent(name, name)));
    let started = futures_util::future::join_all(starting).await;
    running.until(20).await;
    let after = running.rebalances().await;
    assert!(
        (after - before - 1.0).abs() < f64::EPSILON,
        "{before} to {after}"
    );
    running.keep_flowing().await;
    let stopping = started.iter().map(|agent| agent.as_ref().unwrap().stop());
    for stopped in futures_util::future::join_all(stopping).await {
        stopped.unwrap();
    }
    running.keep_flowing().await;
    running.world.stop().await.unwrap();
}

pub(crate) async fn a_paused_agent_goes_on_where_it_is_told(broker: Broker) {
    let mut running = Running::start(broker, &TOPICS, None).await;
    running.world.push_orders(0..10);
    let late = running.agent("late", "orders");
    let late = running.agents.start(late).await.unwrap();
    running.until(10).await;

    late.pause().await.unwrap();
    running.world.push_orders(10..15);
    running.keep_flowing().await;
    assert_eq!(running.seen.len(), 10, "it is paused");
    late.resume(ReadFrom::Committed).await.unwrap();
    assert_eq!(running.until(15).await[10..], [10, 11, 12, 13, 14]);

    late.resume(ReadFrom::Earliest).await.unwrap();
    assert_eq!(
        running.until(30).await[15..],
        (0..15).collect::<Vec<_>>()[..]
    );

    let id = TopicPartition {
        topic: running.world.real_name("orders").into(),
        partition: 0,
    };
    late.resume(ReadFrom::Offsets(vec![(id, 12)]))
        .await
        .unwrap();
    assert_eq!(running.until(33).await[30..], [12, 13, 14]);

    late.pause().await.unwrap();
    running.world.push_orders(15..20);
    late.resume(ReadFrom::Latest).await.unwrap();
    running.world.push_orders(20..22);
    assert_eq!(running.until(35).await[33..], [20, 21]);
    running.keep_flowing().await;
    running
        .world
        .until("all is committed", || running.world.position() == 22)
        .await;
    running.world.stop().await.unwrap();
}

pub(crate) async fn a_paused_agent_goes_on_from_a_time(broker: Broker) {
    let running = Running::start(broker, &TOPICS, None).await;
    let at = |id: u32| 1_700_000_000_000 + i64::from(id) * 1000;
    let push = |id: u32| Push::order(id).at(at(id));
    running.world.push("orders", (0..10).map(push));
    let late = running.agent("late", "orders");
    let late = running.agents.start(late).await.unwrap();
    running.until(10).await;
    late.resume(ReadFrom::Timestamp(at(7) - 500)).await.unwrap();
    assert_eq!(running.until(13).await[10..], [7, 8, 9]);
    late.resume(ReadFrom::Timestamp(at(70))).await.unwrap();
    running.world.push("orders", [push(10)]);
    assert_eq!(running.until(14).await[13..], [10]);
    let mut world = running.world;
    world.stop().await.unwrap();
}

pub(crate) async fn an_agent_without_a_group_comes_and_goes(broker: Broker) {
    let mut running = Running::start(broker, &TOPICS, None).await;
    running.world.push_orders(0..10);
    let seen = running.seen.clone();
    let agent = |name: &str, topic: &str| {
        let seen = seen.clone();
        Agent::builder::<Event<Order>>(name)
            .topics(&ORDERS, [topic])
            .groupless()
            .handle(move |order: Event<Order>, _| {
                seen.say(order.value.id);
                async {}
            })
    };
    let idle = running.agents.start(agent("idle", "done")).await.unwrap();
    let began = Instant::now();
    let late = running.agents.start(agent("late", "orders")).await.unwrap();
    running.until(10).await;
    running.world.push_orders(10..12);
    running.until(12).await;
    late.resume(ReadFrom::Offsets(vec![(
        TopicPartition {
            topic: running.world.real_name("orders").into(),
            partition: 0,
        },
        9,
    )]))
    .await
    .unwrap();
    assert_eq!(running.until(15).await[12..], [9, 10, 11]);
    late.stop().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "no group is waited for"
    );
    running.world.push_orders(12..14);
    running.keep_flowing().await;
    assert_eq!(running.seen.len(), 15, "it has stopped");
    assert_eq!(running.world.position(), 0, "nothing is committed");
    idle.stop().await.unwrap();
    running.world.stop().await.unwrap();
}

pub(crate) async fn a_topic_of_another_agent_is_joined_where_the_group_is(broker: Broker) {
    let mut running = Running::start(broker, &TOPICS, None).await;
    let before = running.rebalances().await;
    let late = running.agent("late", "refunds");
    let late = running.agents.start(late).await.unwrap();
    running.keep_flowing().await;
    let mut joined = running.until(10).await;
    joined.sort_unstable();
    assert_eq!(joined, (10..20).collect::<Vec<_>>());
    late.pause().await.unwrap();
    running.keep_flowing().await;
    let refused = late.resume(ReadFrom::Earliest).await.unwrap_err();
    assert!(matches!(refused, AgentsError::Shared { .. }), "{refused}");
    late.resume(ReadFrom::Latest).await.unwrap();
    running.keep_flowing().await;
    let mut joined = running.until(20).await.split_off(10);
    joined.sort_unstable();
    assert_eq!(joined, (30..40).collect::<Vec<_>>());
    assert_eq!(late.status().skipped, 10);
    late.stop().await.unwrap();
    running.keep_flowing().await;
    let after = running.rebalances().await;
    assert!((after - before).abs() < f64::EPSILON, "{before} to {after}");
    let total = i64::from(running.pushed);
    running
        .world
        .until("all is committed", || {
            running.world.committed("refunds").values().sum::<i64>() == total
        })
        .await;
    running.world.stop().await.unwrap();
}

pub(crate) async fn a_group_that_rebalances_eagerly_is_left_alone(broker: Broker) {
    let range = "partition.assignment.strategy=range";
    let mut running = Running::start(broker, &TOPICS, Some(range)).await;
    running.world.push_orders(0..5);
    let refused = running.agents.start(running.agent("late", "orders")).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, AgentsError::Eager { .. }), "{refused}");
    running.keep_flowing().await;
    // What the group reads already, or is not the group's, changes nothing for it.
    let joined = running
        .agents
        .start(running.agent("joined", "refunds"))
        .await;
    joined.unwrap().stop().await.unwrap();
    let confirmed = running.agents.allow_rebalance();
    let late = confirmed
        .start(running.agent("late", "orders"))
        .await
        .unwrap();
    running.until(5).await;
    let refused = running
        .agents
        .get("late")
        .unwrap()
        .stop()
        .await
        .unwrap_err();
    assert!(matches!(refused, AgentsError::Eager { .. }), "{refused}");
    late.stop().await.unwrap();
    running.keep_flowing().await;
    running.world.stop().await.unwrap();
}

pub(crate) async fn raw_records_are_passed_on_as_they_came(broker: Broker) {
    let topics = [("orders", 3), ("refunds", 2), ("done", 3)];
    let mut running = Running::start(broker, &topics, None).await;
    let copy = Agent::builder::<RawRecords>("copy")
        .raw(["orders"])
        .sends(&DONE)
        .handle(async |records: RawRecords, out: Outbox| out.forward(&DONE, records.iter()));
    let copy = running.agents.start(copy).await.unwrap();
    let record = |id: u32| {
        Push::order(id)
            .on((id % 3) as i32)
            .at(1_700_000_000_000 + i64::from(id))
            .header("first", "1")
            .header("second", "2")
    };
    running.world.push("orders", (0..300).map(record));
    running
        .world
        .push("orders", [Push::tombstone().on(1).at(5)]);
    let got = running.world.read("done", 301).await;
    let mut next = [0_u32, 1, 2];
    for got in got {
        let next = &mut next[got.partition as usize];
        if got.value.is_none() {
            assert_eq!(
                (got.partition, got.offset, got.timestamp),
                (1, 100, Some(5))
            );
            assert_eq!((got.key, got.headers.len()), (None, 0));
            continue;
        }
        assert_eq!(got.key(), next.to_string(), "in order");
        assert_eq!(got.text(), format!("{{\"id\":{next}}}"));
        assert_eq!(got.timestamp, Some(1_700_000_000_000 + i64::from(*next)));
        assert_eq!(
            (&*got.headers["first"], &*got.headers["second"]),
            ("1", "2")
        );
        *next += 3;
    }
    assert_eq!(next, [300, 301, 302]);
    copy.stop().await.unwrap();
    running.keep_flowing().await;
    running.world.stop().await.unwrap();
}
