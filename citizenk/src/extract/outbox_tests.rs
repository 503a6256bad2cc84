use super::*;
use crate::Topic;
use crate::schema::Schemas;

const A: Topic<u32> = Topic::json("a");
const B: Topic<u32> = Topic::json("b");

fn outbox_for_a() -> Outbox {
    let target = OutputTarget {
        id: A.id(),
        topic: OutputTopic {
            cluster: A.cluster,
            name: "a".to_owned(),
            partitioner: crate::Partitioner::Murmur2,
        },
    };
    Outbox::with_table(Arc::new(OutputTable::new(vec![target], Schemas::local())))
}

#[test]
fn an_undeclared_topic_is_named() {
    let error = outbox_for_a().send(&B, &"k".into(), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "topic `b` is not declared; add it to `sends = [..]` (declared: a)"
    );
}

#[test]
fn a_failed_attempt_leaves_nothing_and_a_kept_clone_is_refused() {
    let mut lane = outbox_for_a();
    lane.begin();
    lane.send(&A, &"k".into(), 1).unwrap();
    assert_eq!(lane.end(true), 1);
    lane.begin();
    let kept = lane.clone();
    kept.send(&A, &"k".into(), 2).unwrap();
    assert_eq!(lane.end(false), 0);
    assert!(matches!(
        kept.send(&A, &"k".into(), 3),
        Err(OutboxError::Ended)
    ));
    lane.begin();
    assert!(matches!(
        kept.send(&A, &"k".into(), 3),
        Err(OutboxError::Ended)
    ));
    lane.end(true);
    let mut taken = StagedBatch::default();
    lane.swap(&mut taken);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken.get(0).value, Some(b"1".as_slice()));
}

#[test]
fn earlier_records_can_leave_while_a_call_is_running() {
    let mut lane = outbox_for_a();
    lane.begin();
    lane.send(&A, &"k".into(), 1).unwrap();
    lane.end(true);
    lane.begin();
    lane.send(&A, &"k".into(), 2).unwrap();
    let mut earlier = StagedBatch::default();
    lane.take_earlier(&mut earlier);
    assert_eq!((earlier.len(), lane.len()), (1, 1));
    assert_eq!(earlier.get(0).value, Some(b"1".as_slice()));
    lane.send(&A, &"k".into(), 3).unwrap();
    assert_eq!(
        lane.end(false),
        0,
        "the running call's own records are its own still"
    );
    let mut left = StagedBatch::default();
    lane.swap(&mut left);
    assert!(left.is_empty());
}

#[test]
fn one_call_cannot_stage_without_bound() {
    let out = outbox_for_a();
    for n in 0..MAX_RECORDS {
        out.send(&A, &String::new(), n as u32).unwrap();
    }
    assert!(matches!(
        out.send(&A, &String::new(), 1),
        Err(OutboxError::Full { .. })
    ));
}
