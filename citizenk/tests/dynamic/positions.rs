//! Where an agent that starts or goes on reads from, and what a pause, a drain and a stop leave behind.

use super::*;

#[test]
fn on_a_topic_that_is_read_already_it_begins_where_the_group_is() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        flow(&app, &ORDERS, 0..10).await;
        let gate = Arc::new(Semaphore::new(0));
        let slow = app
            .agents()
            .start(gated("slow", &["orders"], &seen, &gate))
            .await
            .unwrap();
        seen.take();
        flow(&app, &ORDERS, 10..30).await;
        assert_eq!(
            seen.take(),
            said("static", 10..30),
            "nobody waits for the slow one"
        );
        assert_eq!(
            app.committed(&ORDERS).values().sum::<i64>(),
            10,
            "but the commit does"
        );

        // One call of each partition has started and ends; the others' records are not held back by it.
        gate.add_permits(4);
        slow.pause().await.unwrap();
        app.settle().await;
        assert_eq!(seen.take().len(), 4);
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 30);
        assert_eq!(slow.status().skipped, 16, "what it leaves is counted");
        assert_eq!(slow.status().state, AgentState::Paused);

        // What it missed while it was paused belongs to the group's past.
        flow(&app, &ORDERS, 30..40).await;
        seen.take();
        let refused = slow.resume(ReadFrom::Committed).await.unwrap_err();
        assert!(matches!(refused, AgentsError::Shared { .. }), "{refused}");
        assert_eq!(slow.status().state, AgentState::Paused);
        gate.add_permits(1000);
        push(&app, &ORDERS, 40..50);
        slow.resume(ReadFrom::Latest).await.unwrap();
        flow(&app, &ORDERS, 50..60).await;
        let both = [said("slow", 50..60), said("static", 40..60)].concat();
        assert_eq!(seen.take(), both, "it begins behind what was there");
        assert_eq!(app.committed(&ORDERS).values().sum::<i64>(), 60);
        slow.stop().await.unwrap();
        flow(&app, &ORDERS, 60..70).await;
        assert_eq!(seen.take(), said("static", 60..70));
        app.stop().await.unwrap();
    });
}

#[test]
fn it_reads_on_from_every_position() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen))
            .partitions(&REFUNDS, 1)
            .start()
            .await
            .unwrap();
        let late = app
            .agents()
            .start(reader("late", &["refunds"], &seen))
            .await
            .unwrap();
        flow(&app, &REFUNDS, 0..5).await;
        app.advance("1m").await;
        let time = app.now().timestamp_millis();
        flow(&app, &REFUNDS, 5..10).await;
        assert_eq!(seen.take(), said("late", 0..10));
        let at = |app: &TestApp| app.committed(&REFUNDS).get(&0).copied();

        late.pause().await.unwrap();
        flow(&app, &REFUNDS, 10..12).await;
        assert_eq!((seen.take(), at(&app)), (vec![], Some(10)));
        late.resume(ReadFrom::Committed).await.unwrap();
        app.settle().await;
        assert_eq!((seen.take(), at(&app)), (said("late", 10..12), Some(12)));

        late.resume(ReadFrom::Earliest).await.unwrap();
        app.settle().await;
        assert_eq!((seen.take(), at(&app)), (said("late", 0..12), Some(12)));

        let offsets = vec![(
            TopicPartition {
                topic: "refunds".into(),
                partition: 0,
            },
            9,
        )];
        late.resume(ReadFrom::Offsets(offsets)).await.unwrap();
        app.settle().await;
        assert_eq!(seen.take(), said("late", 9..12));

        late.resume(ReadFrom::Timestamp(time)).await.unwrap();
        app.settle().await;
        assert_eq!(seen.take(), said("late", 5..12));

        late.pause().await.unwrap();
        push(&app, &REFUNDS, 12..20);
        late.resume(ReadFrom::Latest).await.unwrap();
        flow(&app, &REFUNDS, 20..22).await;
        assert_eq!((seen.take(), at(&app)), (said("late", 20..22), Some(22)));

        // A position set back is committed, so that it also holds for whoever comes next.
        late.pause().await.unwrap();
        late.resume(ReadFrom::Earliest).await.unwrap();
        late.pause().await.unwrap();
        app.settle().await;
        assert_eq!((seen.take(), at(&app)), (vec![], Some(0)));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_start_from_a_position_wins_over_the_commit() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        push(&app, &REFUNDS, 0..10);
        let late = reader("late", &["refunds"], &seen);
        let running = app
            .agents()
            .start_from(late.clone(), ReadFrom::Latest)
            .await
            .unwrap();
        flow(&app, &REFUNDS, 10..20).await;
        assert_eq!(seen.take(), said("late", 10..20));
        running.stop().await.unwrap();
        push(&app, &REFUNDS, 20..30);
        let running = app
            .agents()
            .start_from(late, ReadFrom::Earliest)
            .await
            .unwrap();
        app.settle().await;
        assert_eq!(seen.take(), said("late", 0..30));
        running.stop().await.unwrap();
        app.stop().await.unwrap();
    });
}

/// A worker without a partition of `refunds`, which another has, after a start from the latest record.
async fn without_partitions(app: &TestApp, seen: &Seen) -> citizenk::AgentHandle {
    let (agents, late) = (app.agents_of(1), reader("late", &["refunds"], seen));
    let starting = tokio::spawn(async move { agents.start_from(late, ReadFrom::Latest).await });
    app.advance("11s").await;
    let started = starting.await.unwrap().unwrap();
    assert_eq!(started.status().partitions, BTreeMap::new());
    started
}

/// The first worker goes; the other one asks, on a thread, where to begin.
async fn fail_over(app: &mut TestApp, to: &citizenk::AgentHandle) {
    app.stop_worker(0).await.unwrap();
    app.wait_until(|_| to.status().state == AgentState::Running)
        .await;
    assert_eq!(to.status().partitions.len(), 1);
}

async fn two_workers(seen: &Seen) -> TestApp {
    let say = seen.clone();
    TestApp::new(move || app(&say))
        .workers(2)
        .partitions(&REFUNDS, 1)
        .start()
        .await
        .unwrap()
}

#[test]
fn what_was_written_during_a_failover_is_read_by_whoever_takes_over() {
    block_on(async {
        let seen = Seen::default();
        let mut app = two_workers(&seen).await;
        push(&app, &REFUNDS, 0..5);
        let late = reader("late", &["refunds"], &seen);
        let first = app.agents_of(0).start_from(late, ReadFrom::Latest).await;
        let first = first.unwrap();
        assert_eq!(first.status().partitions.len(), 1);
        let second = without_partitions(&app, &seen).await;
        flow(&app, &REFUNDS, 5..10).await;
        assert_eq!(seen.take(), said("late", 5..10));
        // What comes now is handled by nobody before the first worker is gone.
        first.pause().await.unwrap();
        flow(&app, &REFUNDS, 10..20).await;
        assert_eq!(seen.take(), Vec::<String>::new());
        fail_over(&mut app, &second).await;
        flow(&app, &REFUNDS, 20..30).await;
        assert_eq!(seen.take(), said("late", 10..30));
        app.stop().await.unwrap();
    });
}

#[test]
fn who_joins_a_running_group_skips_nothing_of_what_waits() {
    block_on(async {
        let seen = Seen::default();
        let say = seen.clone();
        let app = TestApp::new(move || app(&say))
            .workers(2)
            .partitions(&REFUNDS, 8)
            .start()
            .await
            .unwrap();
        push(&app, &REFUNDS, 0..10);
        let late = || reader("late", &["refunds"], &seen);
        let first = app.agents_of(0).start_from(late(), ReadFrom::Latest).await;
        let first = first.unwrap();
        assert_eq!(first.status().partitions.len(), 8);
        app.settle().await;
        assert_eq!(app.committed(&REFUNDS).values().sum::<i64>(), 10);
        // It has begun and handles nothing for now: what comes waits for whoever reads next.
        first.pause().await.unwrap();
        flow(&app, &REFUNDS, 10..30).await;
        let second = app.agents_of(1).start_from(late(), ReadFrom::Latest).await;
        let second = second.unwrap();
        app.settle().await;
        assert!(!second.status().partitions.is_empty());
        first.resume(ReadFrom::Committed).await.unwrap();
        flow(&app, &REFUNDS, 30..40).await;
        assert_eq!(seen.take(), said("late", 10..40));
        app.stop().await.unwrap();
    });
}

#[test]
fn partitions_that_come_late_begin_where_the_group_is() {
    block_on(async {
        let seen = Seen::default();
        let mut app = two_workers(&seen).await;
        let late = reader("late", &["refunds"], &seen);
        let before = app.agents_of(0).start(late).await.unwrap();
        flow(&app, &REFUNDS, 0..5).await;
        before.pause().await.unwrap();
        push(&app, &REFUNDS, 5..10);
        seen.take();
        let started = without_partitions(&app, &seen).await;
        flow(&app, &REFUNDS, 10..15).await;
        fail_over(&mut app, &started).await;
        app.settle().await;
        assert_eq!(seen.take(), said("late", 5..15));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_start_that_is_refused_leaves_nothing_behind() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        flow(&app, &ORDERS, 0..10).await;
        seen.take();
        let (agents, late) = (app.agents(), reader("late", &["orders"], &seen));
        let refused = agents.start_from(late.clone(), ReadFrom::Earliest).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("late"), "{refused}");
        assert!(agents.get("late").is_none());
        flow(&app, &ORDERS, 10..12).await;
        assert_eq!(seen.take(), said("static", 10..12));
        agents.start(late).await.unwrap();
        flow(&app, &ORDERS, 12..13).await;
        assert_eq!(seen.take().len(), 2, "both read on");
        app.stop().await.unwrap();
    });
}

#[test]
fn a_drain_handles_what_was_handed_over() {
    block_on(async {
        let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        let agents = app.agents();
        let late = agents
            .start(gated("late", &["refunds"], &seen, &gate))
            .await
            .unwrap();
        flow(&app, &REFUNDS, 0..10).await;
        let draining = tokio::spawn({
            let late = late.clone();
            async move { late.drain().await }
        });
        app.advance("1s").await;
        assert_eq!(late.status().state, AgentState::Draining);
        flow(&app, &REFUNDS, 10..20).await;
        gate.add_permits(1000);
        app.advance("1s").await;
        draining.await.unwrap().unwrap();
        assert_eq!(seen.take(), said("late", 0..10), "and no more");
        assert_eq!(app.committed(&REFUNDS).values().sum::<i64>(), 10);
        assert!(agents.get("late").is_none());
        app.stop().await.unwrap();
    });
}

#[test]
fn a_call_that_does_not_end_is_cut_off_by_a_stop() {
    block_on(async {
        let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
        let app = TestApp::new(app(&seen)).start().await.unwrap();
        let late = app
            .agents()
            .start(gated("late", &["refunds"], &seen, &gate))
            .await
            .unwrap();
        flow(&app, &REFUNDS, 0..1).await;
        let stopped = late.stop().await.unwrap_err();
        assert!(matches!(stopped, AgentsError::CutOff { .. }), "{stopped}");
        assert_eq!(late.status().state, AgentState::Stopped);
        assert_eq!(app.committed(&REFUNDS).values().sum::<i64>(), 0);
        flow(&app, &ORDERS, 0..1).await;
        assert_eq!(seen.take(), said("static", 0..1));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_paused_agent_stays_paused_over_a_rebalance() {
    block_on(async {
        let seen = Seen::default();
        let mut app = TestApp::new({
            let seen = seen.clone();
            move || app(&seen)
        })
        .workers(2)
        .start()
        .await
        .unwrap();
        for worker in 0..2 {
            let late = reader("late", &["refunds"], &seen);
            let late = app.agents_of(worker).start(late).await.unwrap();
            late.pause().await.unwrap();
        }
        app.settle().await;
        app.stop_worker(1).await.unwrap();
        flow(&app, &REFUNDS, 0..10).await;
        assert_eq!(seen.take(), Vec::<String>::new());
        let late = app.agents_of(0).get("late").unwrap();
        assert_eq!(late.status().partitions.len(), 4);
        late.resume(ReadFrom::Committed).await.unwrap();
        app.settle().await;
        assert_eq!(seen.take(), said("late", 0..10));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_pause_before_anything_is_done_leaves_nothing_out() {
    block_on(async {
        let seen = Seen::default();
        let app = TestApp::new(app(&seen))
            .partitions(&REFUNDS, 1)
            .start()
            .await
            .unwrap();
        // Without a group nothing says where it was but the agent itself.
        let gate = Arc::new(Semaphore::new(0));
        let (said_by, waits) = (seen.clone(), gate.clone());
        let late =
            builder("late", &["refunds"])
                .groupless()
                .handle(move |order: Event<Order>, _| {
                    let (seen, gate) = (said_by.clone(), waits.clone());
                    async move {
                        gate.acquire().await.unwrap().forget();
                        seen.say(format!("late {}", order.value.id));
                    }
                });
        let late = app.agents().start(late).await.unwrap();
        flow(&app, &REFUNDS, 0..5).await;
        // Its first call does not end in time.
        late.pause().await.unwrap_err();
        assert_eq!(seen.take(), [""; 0]);
        gate.add_permits(1000);
        late.resume(ReadFrom::Committed).await.unwrap();
        flow(&app, &REFUNDS, 5..8).await;
        assert_eq!(seen.take(), said("late", 0..8));
        app.stop().await.unwrap();
    });
}
