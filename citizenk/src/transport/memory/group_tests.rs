use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Join(u8),
    Leave(usize),
    Remove(usize),
    Lose(usize),
    Rotate,
    Grow(usize),
    /// The member looks what it has to do.
    Act(usize),
    /// The member's drain is over.
    FinishRevoke(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1..8u8).prop_map(Op::Join),
        2 => (0..8usize).prop_map(Op::Leave),
        1 => (0..8usize).prop_map(Op::Remove),
        1 => (0..8usize).prop_map(Op::Lose),
        1 => Just(Op::Rotate),
        1 => (0..3usize).prop_map(Op::Grow),
        8 => (0..8usize).prop_map(Op::Act),
        6 => (0..8usize).prop_map(Op::FinishRevoke),
    ]
}

const TOPICS: [&str; 3] = ["a", "b", "c"];

/// What the members believe they have, built from the events alone.
#[derive(Default)]
struct Model {
    group: Group,
    sizes: [usize; 3],
    next: MemberId,
    subscriptions: BTreeMap<MemberId, BTreeSet<Arc<str>>>,
    views: BTreeMap<MemberId, BTreeSet<TopicPartition>>,
    revoking: BTreeMap<MemberId, Vec<TopicPartition>>,
    leaving: BTreeSet<MemberId>,
    moved: usize,
}

impl Model {
    fn new(assignor: Assignor) -> Self {
        let topics = TOPICS.iter().map(|name| (Arc::from(*name), 3)).collect();
        Self {
            group: Group::new(assignor, topics),
            sizes: [3; 3],
            ..Self::default()
        }
    }

    fn pick(&self, index: usize) -> Option<MemberId> {
        let ids: Vec<_> = self.views.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[index % ids.len()])
    }

    fn join(&mut self, mask: u8) -> MemberId {
        let id = self.next;
        self.next += 1;
        let topics: BTreeSet<Arc<str>> = (0..3)
            .filter(|bit| mask & (1 << bit) != 0)
            .map(|bit| Arc::from(TOPICS[bit]))
            .collect();
        self.group.join(id, &format!("client-{id}"), topics.clone());
        self.subscriptions.insert(id, topics);
        self.views.insert(id, BTreeSet::new());
        id
    }

    fn forget(&mut self, id: MemberId) {
        self.views.remove(&id);
        self.revoking.remove(&id);
        self.subscriptions.remove(&id);
        self.leaving.remove(&id);
    }

    fn act(&mut self, id: MemberId) -> Result<bool, TestCaseError> {
        match self.group.next_event(id) {
            None => return Ok(false),
            Some(GroupEvent::Assign(partitions)) => {
                for partition in partitions {
                    for (other, view) in &self.views {
                        prop_assert!(
                            !view.contains(&partition),
                            "{partition} given to {id} while {other} has it"
                        );
                    }
                    prop_assert!(self.subscriptions[&id].contains(&partition.topic));
                    self.moved += 1;
                    if let Some(view) = self.views.get_mut(&id) {
                        view.insert(partition);
                    }
                }
            }
            Some(GroupEvent::Revoke(partitions)) => {
                for partition in &partitions {
                    prop_assert!(self.views[&id].contains(partition));
                }
                prop_assert!(self.revoking.insert(id, partitions).is_none());
            }
            Some(GroupEvent::Lost(_)) => self.group.rejoin(id),
            Some(GroupEvent::Left) => {
                prop_assert!(self.views[&id].is_empty());
                prop_assert!(self.leaving.contains(&id));
                self.forget(id);
            }
        }
        Ok(true)
    }

    fn finish_revoke(&mut self, id: MemberId) -> bool {
        let Some(partitions) = self.revoking.remove(&id) else {
            return false;
        };
        self.group.revoked(id);
        if let Some(view) = self.views.get_mut(&id) {
            view.retain(|partition| !partitions.contains(partition));
        }
        true
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Join(mask) => {
                if self.views.len() < 6 {
                    self.join(mask);
                }
            }
            Op::Rotate => self.group.rotate(),
            Op::Grow(topic) => {
                self.sizes[topic] += 1;
                self.group
                    .topic_changed(&TOPICS[topic].into(), self.sizes[topic]);
            }
            Op::Leave(i) => {
                if let Some(id) = self.pick(i) {
                    self.group.leave(id);
                    self.leaving.insert(id);
                }
            }
            Op::Remove(i) => {
                if let Some(id) = self.pick(i) {
                    self.group.remove(id);
                    self.forget(id);
                }
            }
            Op::Lose(i) => {
                if let Some(id) = self.pick(i) {
                    self.group.lose(id);
                    self.views.insert(id, BTreeSet::new());
                }
            }
            Op::Act(i) => {
                if let Some(id) = self.pick(i) {
                    self.act(id)?;
                }
            }
            Op::FinishRevoke(i) => {
                if let Some(id) = self.pick(i) {
                    self.finish_revoke(id);
                }
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..10_000 {
            let mut busy = false;
            for id in self.views.keys().copied().collect::<Vec<_>>() {
                busy |= self.finish_revoke(id);
                busy |= self.act(id)?;
            }
            if !busy {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("the group never settles"))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (topic, &size) in TOPICS.iter().zip(&self.sizes) {
            let wanted = self.subscriptions.values().any(|s| s.contains(*topic));
            for partition in 0..size as i32 {
                let partition = TopicPartition::new(*topic, partition);
                let holders: Vec<_> = self
                    .views
                    .iter()
                    .filter(|(_, view)| view.contains(&partition))
                    .map(|(id, _)| *id)
                    .collect();
                prop_assert_eq!(holders.len(), usize::from(wanted), "{}", partition);
                prop_assert_eq!(
                    self.group.owners.get(&partition).copied(),
                    holders.first().copied()
                );
            }
        }
        Ok(())
    }

    fn spread(&self) -> (usize, usize) {
        let counts = || self.views.values().map(BTreeSet::len);
        (
            counts().min().unwrap_or_default(),
            counts().max().unwrap_or_default(),
        )
    }
}

proptest! {
    /// Whatever members do, no partition has two owners, and when they have acted every partition
    /// that a live member subscribes to has exactly one.
    #[test]
    fn every_partition_ends_with_exactly_one_owner(
        range: bool,
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut model = Model::new(if range { Assignor::Range } else { Assignor::Sticky });
        for op in ops {
            model.apply(op)?;
        }
        model.settle()?;
        model.check()?;
    }

    /// Members of one subscription differ by one partition at most, and one that joins or leaves
    /// moves no more than its own share.
    #[test]
    fn balance_moves_only_what_must_move(members in 1..6usize, leaver in 0..6usize) {
        let mut model = Model::new(Assignor::Sticky);
        for _ in 0..members {
            let before = model.moved;
            model.join(7);
            model.settle()?;
            let (min, max) = model.spread();
            prop_assert!(max - min <= 1);
            prop_assert!(model.moved - before <= 9usize.div_ceil(model.views.len()));
        }
        let id = model.pick(leaver).unwrap_or_default();
        let (share, before) = (model.views[&id].len(), model.moved);
        model.group.leave(id);
        model.leaving.insert(id);
        model.settle()?;
        let (min, max) = model.spread();
        prop_assert!(max - min <= 1);
        prop_assert_eq!(model.moved - before, if members == 1 { 0 } else { share });
        model.check()?;
    }

    /// A forced rebalance takes every partition from its member and gives it to another one.
    #[test]
    fn rotation_moves_everything(members in 1..5usize) {
        let mut model = Model::new(Assignor::Sticky);
        for _ in 0..members {
            model.join(7);
        }
        model.settle()?;
        let before = model.group.owners.clone();
        model.moved = 0;
        model.group.rotate();
        model.settle()?;
        model.check()?;
        prop_assert_eq!(model.moved, 9);
        for (partition, owner) in &model.group.owners {
            prop_assert_eq!(before[partition] == *owner, members == 1);
        }
    }

    /// The same operations give the same ownership.
    #[test]
    fn assignment_is_a_function_of_the_operations(ops in prop::collection::vec(op(), 0..60)) {
        let run = || {
            let mut model = Model::new(Assignor::Sticky);
            for op in ops.clone() {
                model.apply(op)?;
            }
            model.settle()?;
            Ok::<_, TestCaseError>((model.group.owners, model.group.generation))
        };
        prop_assert_eq!(run()?, run()?);
    }
}

#[test]
fn range_gives_equal_numbers_of_equal_topics_to_one_member() {
    let mut model = Model::new(Assignor::Range);
    model.join(3);
    model.join(3);
    model.settle().unwrap();
    for view in model.views.values() {
        let numbers = |topic: &str| {
            view.iter()
                .filter(|p| &*p.topic == topic)
                .map(|p| p.partition)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers("a"), numbers("b"));
    }
}

#[test]
fn only_the_owner_commits_and_all_or_nothing() {
    let mut model = Model::new(Assignor::Sticky);
    let (first, second) = (model.join(1), model.join(1));
    model.settle().unwrap();
    let mine = model.group.owned(first)[0].clone();
    let other = model.group.owned(second)[0].clone();
    assert_eq!(model.group.commit(first, &[(mine.clone(), 3)]), Ok(()));
    assert_eq!(
        model
            .group
            .commit(first, &[(mine.clone(), 5), (other.clone(), 1)]),
        Err(Fenced(other))
    );
    assert_eq!(model.group.committed(&mine), Some(3));
    model.group.lose(first);
    assert_eq!(
        model.group.commit(first, &[(mine.clone(), 5)]),
        Err(Fenced(mine))
    );
}
