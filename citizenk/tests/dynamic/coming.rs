//! Starts and stops beside other agents: topics, groups, patterns, guarantees, and who may start agents.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

#[test]
fn an_agent_comes_and_goes_beside_another() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        flow(&app, &ORDERS, 0..20).await;
        flow(&app, &REFUNDS, 0..20).await;
        assert_eq!(seen.take(), said("static", 0..20));

        let late = app
            .agents()
            .start(reader("late", &["refunds"], &seen))
            .await
            .unwrap();
        assert_eq!(late.status().state, AgentState::Running);
        app.settle().await;
        flow(&app, &ORDERS, 20..40).await;
        flow(&app, &REFUNDS, 20..40).await;
        let both = [said("late", 0..40), said("static", 20..40)].concat();
        assert_eq!(seen.take(), both, "each once");
        assert_eq!(app.committed(&REFUNDS).values().sum::<i64>(), 40);
        assert_eq!(late.status().partitions.len(), 4);

        let begun = Instant::now();
        late.stop().await.unwrap();
        let took = begun.elapsed();
        assert!(
            took < Duration::from_millis(100),
            "{took:?}: the others are not waited for"
        );
        assert_eq!(late.status().state, AgentState::Stopped);
        assert!(late.status().partitions.is_empty());
        flow(&app, &REFUNDS, 40..50).await;
        flow(&app, &ORDERS, 40..50).await;
        assert_eq!(seen.take(), said("static", 40..50));
        assert_eq!(app.committed(&REFUNDS).values().sum::<i64>(), 40);
        app.advance("100ms").await;
        assert!(app.owned_by(0).iter().all(|p| &*p.topic == "orders"));

        // Again: from where it stopped.
        let again = app
            .agents()
            .start(reader("late", &["refunds"], &seen))
            .await
            .unwrap();
        app.settle().await;
        assert_eq!(seen.take(), said("late", 40..50));
        again.stop().await.unwrap();
        app.stop().await.unwrap();
    });
}

#[test]
fn twenty_starts_are_one_change_of_the_subscription() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        let agents = app.agents();
        let names: Vec<String> = (0..20).map(|number| format!("topic-{number}")).collect();
        let starting = names
            .iter()
            .map(|name| agents.start(reader(name, &[name], &seen)));
        let started = join_all(starting).await;
        assert!(started.iter().all(Result::is_ok), "{started:?}");
        let changes = |stats: &serde_json::Value| {
            stats["consumers"]["dynamic"]["subscription_changes"].as_u64()
        };
        assert_eq!(changes(&stats(&app).await), Some(1));
        let stopping = started.iter().map(|agent| agent.as_ref().unwrap().stop());
        join_all(stopping)
            .await
            .into_iter()
            .for_each(Result::unwrap);
        assert_eq!(agents.all().len(), 1);
        app.advance("100ms").await;
        assert_eq!(changes(&stats(&app).await), Some(2));
        // Gone and back before the group has let go: nothing changes.
        let again = agents.start(reader("again", &["topic-0"], &seen)).await;
        again.unwrap().stop().await.unwrap();
        let back = agents.start(reader("back", &["topic-0"], &seen)).await;
        app.advance("100ms").await;
        assert_eq!(changes(&stats(&app).await), Some(3));
        back.unwrap().stop().await.unwrap();
        app.stop().await.unwrap();
    });
}

#[test]
fn groups_of_its_own_and_none_come_and_go() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        let agents = app.agents();
        flow(&app, &ORDERS, 0..10).await;
        seen.take();
        let def = |name: &str, change: fn(Builder) -> Builder| {
            let (say, seen) = (name.to_owned(), seen.clone());
            change(builder(name, &["orders"])).handle(move |order: Event<Order>, _| {
                seen.say(format!("{say} {}", order.value.id));
                async {}
            })
        };
        let own = agents.start(def("own", |b| b.group("own"))).await.unwrap();
        let all = agents.start(def("all", |b| b.groupless())).await.unwrap();
        let new = agents
            .start(def("new", |b| b.groupless().start_latest()))
            .await
            .unwrap();
        // Reads the same topic as another one without a group: each from where it wants.
        let two = agents.start(def("two", |b| b.groupless())).await.unwrap();
        app.settle().await;
        let each = |ids: std::ops::Range<u32>| ["all", "own", "two"].map(|n| said(n, ids.clone()));
        assert_eq!(seen.take(), each(0..10).concat());
        flow(&app, &ORDERS, 10..12).await;
        let mut expected = each(10..12).concat();
        expected.extend([said("new", 10..12), said("static", 10..12)].concat());
        expected.sort();
        assert_eq!(seen.take(), expected);
        assert_eq!(app.committed_by("own", &ORDERS).values().sum::<i64>(), 12);
        all.resume(ReadFrom::Earliest).await.unwrap();
        app.settle().await;
        assert_eq!(
            seen.take(),
            said("all", 0..12),
            "the others stay where they are"
        );
        for agent in [own, all, new, two] {
            agent.stop().await.unwrap();
        }
        let consumers = stats(&app).await["consumers"].as_object().unwrap().len();
        assert_eq!(consumers, 1, "consumers without agents leave");
        flow(&app, &ORDERS, 12..14).await;
        assert_eq!(seen.take(), said("static", 12..14));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_pattern_notices_topics_that_come_later() {
    block_on(async {
        let seen = Seen::default();
        let (a, b, c) = (
            ORDERS.named("eu-a"),
            ORDERS.named("eu-b"),
            ORDERS.named("us-a"),
        );
        let app = TestApp::new(app(&seen).topic(&a)).start().await.unwrap();
        push(&app, &a, 0..3);
        let late = app
            .agents()
            .start(reader("late", &["^eu-.*"], &seen))
            .await
            .unwrap();
        app.settle().await;
        assert_eq!(seen.take(), said("late", 0..3));
        push(&app, &b, 3..6);
        push(&app, &c, 6..9);
        app.advance("10s").await;
        assert_eq!(seen.take(), said("late", 3..6));
        assert_eq!(app.committed(&b).values().sum::<i64>(), 3);
        let topics: BTreeMap<String, ()> = late
            .status()
            .partitions
            .into_keys()
            .map(|id| (id.topic.to_string(), ()))
            .collect();
        assert_eq!(topics.into_keys().collect::<Vec<_>>(), ["eu-a", "eu-b"]);
        late.stop().await.unwrap();
        let wrong = app
            .agents()
            .start(reader("wrong", &["^("], &seen))
            .await
            .unwrap_err();
        assert!(
            wrong.to_string().contains("not a regular expression"),
            "{wrong}"
        );
        app.stop().await.unwrap();
    });
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        let agents = app.agents();
        let told = async |agent: AgentDef| agents.start(agent).await.unwrap_err().to_string();
        let twice = told(reader("static", &["refunds"], &seen)).await;
        assert!(twice.contains("runs already"), "{twice}");
        let name = told(reader("late", &["a b"], &seen)).await;
        assert!(name.contains("topic name"), "{name}");
        let nothing = told(reader("late", &[], &seen)).await;
        assert!(nothing.contains("reads no topic"), "{nothing}");
        let after = builder("late", &["refunds"]).after_named("static");
        let after = told(after.handle(|_: Event<Order>, _| async {})).await;
        assert!(
            after.contains("only for agents that the app registers"),
            "{after}"
        );
        let exact = builder("late", &["orders"]).guarantee(Guarantee::ExactlyOnce);
        let exact = told(exact.handle(|_: Event<Order>, _| async {})).await;
        assert!(exact.contains("a group of its own"), "{exact}");
        assert_eq!(agents.all().len(), 1);
        app.stop().await.unwrap();
    });
}

#[test]
fn with_exactly_once_it_starts_and_stops() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        let (agents, say) = (app.agents(), seen.clone());
        let exact = builder("exact", &["refunds"])
            .guarantee(Guarantee::ExactlyOnce)
            .handle(move |order: Event<Order>, _| {
                say.say(format!("exact {}", order.value.id));
                async {}
            });
        let running = agents.start(exact.clone()).await.unwrap();
        flow(&app, &REFUNDS, 0..10).await;
        app.advance("1s").await;
        assert_eq!(seen.take(), said("exact", 0..10));
        assert!(running.pause().await.is_err());
        let asked = Instant::now();
        running.stop().await.unwrap();
        // The last of its group leaves with it.
        assert!(asked.elapsed() < Duration::from_secs(2));
        flow(&app, &REFUNDS, 10..20).await;
        assert_eq!(seen.take(), Vec::<String>::new());
        let running = agents.start(exact).await.unwrap();
        app.advance("1s").await;
        assert_eq!(seen.take(), said("exact", 10..20));
        running.stop().await.unwrap();
        app.stop().await.unwrap();
    });
}

#[citizenk::agent(topics = [REFUNDS], guarantee = exactly_once)]
async fn first(order: Event<Order>) {
    drop(order);
}

#[citizenk::agent(topics = [REFUNDS], guarantee = exactly_once)]
async fn second(order: Event<Order>) {
    drop(order);
}

/// Transactions of a partition take in all of its agents.
#[test]
fn with_exactly_once_none_of_two_that_share_a_topic_stops() {
    block_on(async {
        let app = App::new("pair").register::<first>().register::<second>();
        let app = TestApp::new(app).start().await.unwrap();
        let agent = app.agents().get("first").unwrap();
        let refused = agent.stop().await.unwrap_err().to_string();
        assert!(refused.contains("by agent `second`"), "{refused}");
        assert_eq!(agent.status().state, AgentState::Running);
        flow(&app, &REFUNDS, 0..5).await;
        app.advance("1s").await;
        assert_eq!(app.committed(&REFUNDS).values().sum::<i64>(), 5);
        app.stop().await.unwrap();
    });
}

#[citizenk::on_event(startup)]
async fn begin(agents: Agents, State(seen): State<Seen>) -> citizenk::Result<()> {
    agents.start(reader("hooked", &["orders"], &seen)).await?;
    Ok(())
}

#[citizenk::route(post = "/agents-by-topic/{topic}")]
async fn add(agents: Agents, State(seen): State<Seen>, Path(topic): Path<String>) -> String {
    let started = agents.start(reader(&topic, &[&topic], &seen)).await;
    started.map_or_else(|error| error.to_string(), |agent| agent.name().to_owned())
}

#[test]
fn hooks_and_routes_start_agents() {
    block_on(async {
        let seen = Seen::default();
        let app = app(&seen)
            .state(seen.clone())
            .register::<begin>()
            .register::<add>();
        let app = TestApp::new(app).start().await.unwrap();
        flow(&app, &ORDERS, 0..5).await;
        assert_eq!(
            seen.take(),
            [said("hooked", 0..5), said("static", 0..5)].concat()
        );
        let added = app.post("/agents-by-topic/refunds", &"").await;
        assert_eq!(added.body, "refunds");
        flow(&app, &REFUNDS, 0..5).await;
        assert_eq!(seen.take(), said("refunds", 0..5));
        app.stop().await.unwrap();
    });
}

#[test]
fn raw_records_are_passed_on_as_they_came() {
    block_on(async {
        let seen = Seen::default();
        let copy = Agent::builder::<RawRecords>("copy")
            .raw(["orders"])
            .sends(&TARGET)
            .handle(async |records: RawRecords, out: Outbox| {
                let good = records.iter().filter(|r| r.value() != Some(b"drop"));
                out.forward(&TARGET, good)
            });
        let app = TestApp::new(app(&seen).topic(&TARGET))
            .start()
            .await
            .unwrap();
        app.agents().start(copy).await.unwrap();
        let (source, one, two) = (app.topic(&ORDERS), b"1".to_vec(), b"2".to_vec());
        let record = || source.record().partition(3).timestamp(77).header("a", &one);
        record()
            .key(&7)
            .header("b", &two)
            .header("a", &two)
            .push_raw(Some(b"{\"id\":1}"));
        record().key(&8).push_raw(None);
        record().push_raw(Some(b"{\"id\":2}"));
        app.settle().await;
        let sent = app.topic(&TARGET).sent();
        let value = |index: usize| sent[index].value.as_ref().map(|v| v.0.clone());
        assert_eq!(value(0), Some(b"{\"id\":1}".to_vec()));
        assert_eq!((value(1), value(2)), (None, Some(b"{\"id\":2}".to_vec())));
        let keys: Vec<_> = sent.iter().map(|s| s.key.as_deref()).collect();
        assert_eq!(keys, [Some("7"), Some("8"), None]);
        assert!(
            sent.iter()
                .all(|s| s.partition == 3 && s.timestamp.millis() == Some(77))
        );
        let headers: Vec<_> = sent[0].headers.iter().collect();
        let expected = [("a", &one), ("b", &two), ("a", &two)];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name, Some(value.as_slice())))
        );
        assert_eq!(app.committed(&ORDERS)[&3], 3);
        app.stop().await.unwrap();
    });
}

#[test]
fn an_agents_status_says_why_the_broker_refuses_its_outputs() {
    const TEN: Duration = Duration::from_secs(10);
    block_on(async {
        let seen = Seen::default();
        let copy = Agent::builder::<RawRecords>("copy")
            .raw(["orders"])
            .sends(&TARGET)
            .on_produce_error(Policy::retry(2).backoff(TEN, TEN).then_skip())
            .handle(async |records: RawRecords, out: Outbox| out.forward(&TARGET, records.iter()));
        let app = TestApp::new(app(&seen).topic(&TARGET))
            .start()
            .await
            .unwrap();
        let copy = app.agents().start(copy).await.unwrap();
        app.fail_next(&TARGET, 2);
        flow(&app, &ORDERS, 0..1).await;
        for _ in 0..2 {
            let why = copy.status().refused.unwrap();
            assert!(why.contains("refused by the test"), "{why}");
            assert!(app.topic(&TARGET).sent().is_empty());
            app.advance("10s").await;
        }
        assert_eq!(app.topic(&TARGET).sent().len(), 1);
        assert_eq!(copy.status().refused, None);

        // Given up is not refused any more.
        app.fail_next(&TARGET, 3);
        flow(&app, &ORDERS, 1..2).await;
        app.advance("10s").await;
        assert!(copy.status().refused.is_some());
        app.advance("10s").await;
        assert_eq!(copy.status().refused, None);
        assert_eq!(app.topic(&TARGET).sent().len(), 1);
        app.stop().await.unwrap();
    });
}
