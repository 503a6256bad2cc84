use super::*;

#[test]
fn without_a_group_every_partition_is_read_and_nothing_committed() {
    let transport = broker();
    transport.create_topic("a", 3).expect("created");
    for partition in 0..3 {
        fill(&transport, "a", partition, 0..100);
    }
    let consumers: Vec<_> = (0..2)
        .map(|_| Consumer::start(&transport, spec(None, &["a"])))
        .collect();
    for consumer in &consumers {
        assert_eq!(consumer.assigned().len(), 3);
        let mut next = [0; 3];
        for record in consumer.records(300) {
            let next = &mut next[record.partition() as usize];
            assert_eq!(record.offset(), *next);
            *next += 1;
        }
        let id = TopicPartition::new("a", 0);
        let asked = id.clone();
        let refused = consumer.act(move |control| control.commit_now(&[(asked, 5)], PATIENCE));
        assert!(refused.is_err());
        let asked = id.clone();
        assert_eq!(
            consumer.act(move |control| control.committed(&[asked], PATIENCE)),
            Ok(vec![None])
        );
        // Pause, resume and seek work as with a group.
        let asked = id.clone();
        consumer.act(move |control| control.pause(&[asked]));
        consumer.act(move |control| control.resume(&[(id, 90)]));
        assert_eq!(value(&consumer.records(10)[0]), 90);
    }
    for consumer in &consumers {
        consumer.handle.close(PATIENCE);
        consumer.wait(|seen| match seen {
            Seen::Ended(partitions, lost) => Some((partitions.len(), lost)),
            _ => None,
        });
        consumer.wait(|seen| matches!(seen, Seen::Closed).then_some(()));
    }
}

#[test]
fn without_a_group_a_topic_is_waited_for_and_a_lost_position_found_again() {
    let transport = broker();
    transport.create_topic("a", 1).expect("created");
    fill(&transport, "a", 0, 0..10);
    let consumer = Consumer::starting(&transport, spec(None, &["a", "later"]), |id| {
        if &*id.topic == "later" {
            Start::Offset(77)
        } else {
            Start::Offset(4)
        }
    });
    assert_eq!(consumer.assigned(), [TopicPartition::new("a", 0)]);
    assert_eq!(value(&consumer.records(6)[0]), 4);
    transport.create_topic("later", 1).expect("created");
    assert_eq!(consumer.assigned(), [TopicPartition::new("later", 0)]);
    let anew = consumer.wait(|seen| match seen {
        Seen::Anew(from, to) => Some((from, to)),
        _ => None,
    });
    assert_eq!(anew, (77, 0));
    fill(&transport, "later", 0, 0..2);
    assert_eq!(consumer.records(2)[0].offset(), 0);
    consumer.close(PATIENCE);
    ends(transport);
}

#[test]
fn without_a_group_many_topics_are_looked_for_together() {
    const METADATA: i16 = 3;
    const TOPICS: usize = 40;
    let transport = broker();
    let names: Vec<String> = (0..TOPICS).map(|index| format!("t{index}")).collect();
    for name in &names {
        transport.create_topic(name, 1).expect("created");
    }
    let broker = transport.embedded.as_ref().expect("embedded");
    count_requests(broker);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let consumer = Consumer::start(&transport, spec(None, &names));
    let mut assigned = 0;
    while assigned < TOPICS {
        assigned += consumer.assigned().len();
    }
    let asked = requests(broker)[&METADATA];
    // The client asks on its own behalf as well, but not for each.
    assert!(asked < TOPICS / 2, "{asked} requests for {TOPICS} topics");
    consumer.close(PATIENCE);
    ends(transport);
}
