//! The client handlers use: topics. (Groups: `groups`.)

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use super::check;
use super::error::{AdminError, AdminErrorKind};
use super::port::{AdminPort, Spot};
use super::types::{
    ClusterDescription, ConfigChange, ConfigEntry, NewTopic, PartitionId, PartitionOffsets,
    TopicDescription, TopicListing,
};
use crate::error::{TransportError, UnknownCluster};
use crate::record::TopicPartition;
use crate::topic::Topic;

/// How long a request may take, unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How soon a change is looked for again that brokers do not know of yet; doubled each time.
pub(super) const LOOK: Duration = Duration::from_millis(10);
pub(super) const LOOK_AT_MOST: Duration = Duration::from_millis(500);

type Connect = dyn Fn() -> Result<Arc<dyn AdminPort>, TransportError> + Send + Sync;
type RealName = dyn Fn(&str) -> String + Send + Sync;

/// Administers the app's cluster: topics, consumer groups, offsets.
///
/// An argument of agents, timers, hooks and endpoints, as [`Producer`](crate::Producer) is. Names are those
/// on the broker ([`Admin::name_of`] has them of the app's topics). Nothing runs on a consumer's thread, and
/// many requests may be under way at once. A request takes at most 15 s ([`Admin::timeout`]); one whose
/// future is dropped may still be carried out.
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::admin::NewTopic;
///
/// #[citizenk::on_event(startup)]
/// async fn archive(admin: Admin) -> citizenk::Result<()> {
///     if !admin.topics().await?.iter().any(|topic| topic.name == "archive") {
///         admin.create_topic(NewTopic::new("archive").partitions(12)).await?;
///     }
///     Ok(())
/// }
/// # citizenk::testing::block_on(async {
/// # citizenk::testing::TestApp::new(|| App::new("a").register::<archive>()).start().await?.stop().await
/// # }).unwrap();
/// ```
///
/// What cannot be right (a name, a number) is refused before anything is sent. The embedded broker lists,
/// describes and creates topics and tells the ends of partitions; asking it for anything else is the error
/// "not available on the embedded broker".
#[derive(Clone)]
pub struct Admin {
    cluster: Arc<Cluster>,
    /// All clusters of the app, where there are several.
    all: Arc<[Arc<Cluster>]>,
    pub(super) timeout: Duration,
}

struct Cluster {
    name: String,
    connect: Box<Connect>,
    real_name: Box<RealName>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admin({})", self.cluster.name)
    }
}

impl Admin {
    /// Of the cluster with this name in the app; `real_name` knows what its topics are called there.
    pub(crate) fn new(
        cluster: &str,
        connect: impl Fn() -> Result<Arc<dyn AdminPort>, TransportError> + Send + Sync + 'static,
        real_name: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            cluster: Arc::new(Cluster {
                name: cluster.to_owned(),
                connect: Box::new(connect),
                real_name: Box::new(real_name),
            }),
            all: Arc::default(),
            timeout: TIMEOUT,
        }
    }

    /// The first of them, which knows the others.
    pub(crate) fn first_of(clusters: impl IntoIterator<Item = Self>) -> Option<Self> {
        let all: Arc<[Arc<Cluster>]> = clusters.into_iter().map(|one| one.cluster).collect();
        Some(Self {
            cluster: all.first()?.clone(),
            all,
            timeout: TIMEOUT,
        })
    }

    /// The same client for another of the app's clusters ([`App::cluster`](crate::App::cluster)). What a
    /// handler is given is for the one without a name or, in an app that has none, for the first.
    ///
    /// # Errors
    /// The app has no such cluster.
    pub fn on(&self, cluster: &str) -> Result<Self, UnknownCluster> {
        let all = std::iter::once(&self.cluster).chain(&*self.all);
        let found = all.clone().find(|known| known.name == cluster);
        let Some(found) = found else {
            let mut known: Vec<&str> = all.map(|known| &*known.name).collect();
            known.sort_unstable();
            known.dedup();
            return Err(UnknownCluster::new(cluster, &known));
        };
        Ok(Self {
            cluster: found.clone(),
            all: self.all.clone(),
            timeout: self.timeout,
        })
    }

    /// The same client with another limit for each request (at least 1 ms, at most an hour; default 15 s).
    /// Creating, deleting and adding partitions may take as long again, until every broker knows.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// The cluster's name in the app.
    #[must_use]
    pub fn cluster_name(&self) -> &str {
        &self.cluster.name
    }

    /// What a topic of the app is called on the broker (`--topic NAME=REAL`, `--topic-prefix`).
    #[must_use]
    pub fn name_of<V, K>(&self, topic: &Topic<V, K>) -> String {
        (self.cluster.real_name)(topic.id().text())
    }

    /// The cluster's id, brokers and controller.
    ///
    /// # Errors
    /// [`AdminError`], as for every request.
    pub async fn cluster(&self) -> Result<ClusterDescription, AdminError> {
        let asked = Asked::new(self, "describing", "the cluster");
        let port = asked.port()?;
        asked.answer(port.cluster(self.timeout).await)
    }

    /// All topics, by name; Kafka's own ones included.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn topics(&self) -> Result<Vec<TopicListing>, AdminError> {
        let asked = Asked::new(self, "listing", "topics");
        let mut topics = asked.answer(asked.port()?.topics(self.timeout).await)?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// A topic's partitions, with leaders, replicas and those in sync.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`]: there is none.
    pub async fn describe_topic(&self, name: &str) -> Result<TopicDescription, AdminError> {
        let asked = Asked::topic(self, "describing", name);
        asked.valid(check::topic(name))?;
        let described = self.describe_each(&[name.to_owned()]).await?;
        match described.into_iter().next() {
            Some(described) => asked.answer(described),
            None => Err(asked.own(AdminErrorKind::NotFound, "the cluster says nothing of it")),
        }
    }

    /// As [`Admin::describe_topic`], of several at once, in the same order.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`], naming the first that does not exist.
    pub async fn describe_topics(
        &self,
        names: &[impl AsRef<str>],
    ) -> Result<Vec<TopicDescription>, AdminError> {
        let mut owned = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref();
            Asked::topic(self, "describing", name).valid(check::topic(name))?;
            owned.push(name.to_owned());
        }
        let described = self.describe_each(&owned).await?;
        owned
            .iter()
            .zip(described)
            .map(|(name, described)| Asked::topic(self, "describing", name).answer(described))
            .collect()
    }

    pub(super) async fn describe_each(
        &self,
        names: &[String],
    ) -> Result<Vec<Result<TopicDescription, TransportError>>, AdminError> {
        let asked = Asked::new(self, "describing", "topics");
        asked.valid(check::at_most(names.len(), check::MOST_AT_ONCE, "topics"))?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let port = asked.port()?;
        asked.answer(port.describe_topics(names.to_vec(), self.timeout).await)
    }

    /// Creates a topic and waits until its partitions have leaders.
    ///
    /// # Errors
    /// [`AdminErrorKind::AlreadyExists`], which leaves the topic as it is; [`AdminErrorKind::Invalid`], e.g.
    /// for more replicas than there are brokers; [`AdminErrorKind::Unreachable`] also when the topic is
    /// created but has no leaders in time.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<(), AdminError> {
        let name = topic.name.clone();
        let asked = Asked::topic(self, "creating", &name);
        asked.valid(check::new_topic(&topic))?;
        let partitions = topic.partitions;
        let port = asked.port()?;
        asked.answer(port.create_topic(topic, false, self.timeout).await)?;
        self.until(&asked, &name, |found| {
            let partitions = partitions.and_then(|wanted| usize::try_from(wanted).ok());
            found.is_ok_and(|topic| {
                topic.partitions.iter().all(|p| p.leader.is_some())
                    && topic.partitions.len() >= partitions.unwrap_or(1)
            })
        })
        .await
    }

    /// Whether [`Admin::create_topic`] would succeed, as the broker sees it; nothing is created.
    ///
    /// # Errors
    /// Those that creating it would have.
    pub async fn check_new_topic(&self, topic: NewTopic) -> Result<(), AdminError> {
        let asked = Asked::topic(self, "checking new", &topic.name);
        asked.valid(check::new_topic(&topic))?;
        let port = asked.port()?;
        asked.answer(port.create_topic(topic, true, self.timeout).await)
    }

    /// Deletes a topic with all its records, and waits until it is gone.
    ///
    /// Consumers that read it stop getting records; it may come back by itself where the cluster creates
    /// topics on demand (`auto.create.topics.enable`) and somebody still writes.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`]; [`AdminErrorKind::Invalid`] for Kafka's own topics.
    pub async fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        let asked = Asked::topic(self, "deleting", name);
        asked.valid(check::own_topic(name))?;
        let port = asked.port()?;
        asked.answer(port.delete_topic(name.to_owned(), self.timeout).await)?;
        self.until(&asked, name, |found| found.is_err()).await
    }

    /// Gives a topic more partitions, up to `total`, and waits until they have leaders.
    ///
    /// Records stay where they are, but keys move to other partitions from here on: readers that count on
    /// an order by key, or keep state by key, see both.
    ///
    /// # Errors
    /// [`AdminErrorKind::Invalid`] where the topic has as many already: partitions cannot be taken away.
    pub async fn add_partitions(&self, topic: &str, total: u32) -> Result<(), AdminError> {
        let asked = Asked::topic(self, "adding partitions to", topic);
        asked.valid(check::own_topic(topic))?;
        asked.valid(check::partitions(total))?;
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let port = asked.port()?;
        let added = port.add_partitions(topic.to_owned(), total, self.timeout);
        asked.answer(added.await)?;
        self.until(&asked, topic, |found| {
            found.is_ok_and(|topic| {
                topic.partitions.len() >= total
                    && topic.partitions.iter().all(|p| p.leader.is_some())
            })
        })
        .await
    }

    /// A topic's configs, by name, those that nobody set included.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`].
    pub async fn topic_configs(&self, topic: &str) -> Result<Vec<ConfigEntry>, AdminError> {
        let asked = Asked::topic(self, "reading configs of", topic);
        asked.valid(check::topic(topic))?;
        let read = self.configs_of(vec![topic.to_owned()]).await?;
        match read.into_iter().next() {
            Some(configs) => asked.answer(configs),
            None => Err(asked.own(AdminErrorKind::NotFound, "the cluster says nothing of it")),
        }
    }

    pub(super) async fn configs_of(
        &self,
        topics: Vec<String>,
    ) -> Result<Vec<Result<Vec<ConfigEntry>, TransportError>>, AdminError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let asked = Asked::new(self, "reading configs of", "topics");
        let port = asked.port()?;
        let mut read = asked.answer(port.topic_configs(topics, self.timeout).await)?;
        for entries in read.iter_mut().flatten() {
            entries.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(read)
    }

    /// Changes the named configs of a topic, all or none; others stay as they are.
    ///
    /// # Errors
    /// [`AdminErrorKind::Invalid`]: the broker does not know a config, or does not take its value.
    pub async fn alter_configs(
        &self,
        topic: &str,
        changes: &[ConfigChange],
    ) -> Result<(), AdminError> {
        let asked = Asked::topic(self, "changing configs of", topic);
        asked.valid(check::own_topic(topic))?;
        asked.valid(check::changes(changes))?;
        let port = asked.port()?;
        let altered = port.alter_configs(topic.to_owned(), changes.to_vec(), self.timeout);
        asked.answer(altered.await)
    }

    /// The first and the next offset of each partition of a topic.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`].
    pub async fn watermarks(&self, topic: &str) -> Result<Vec<PartitionOffsets>, AdminError> {
        let asked = Asked::topic(self, "asking for offsets of", topic);
        let partitions = self.partitions_of(topic).await?;
        let ends = self.ends(&asked, &partitions).await?;
        Ok(partitions
            .into_iter()
            .zip(ends)
            .map(|(partition, (low, high))| PartitionOffsets {
                partition: id(&partition),
                low,
                high,
            })
            .collect())
    }

    /// By partition, the first record of this time or a later one; `None`: there is none yet.
    ///
    /// # Errors
    /// [`AdminErrorKind::NotFound`].
    pub async fn offsets_at(
        &self,
        topic: &str,
        time: DateTime<Utc>,
    ) -> Result<BTreeMap<i32, Option<i64>>, AdminError> {
        let asked = Asked::topic(self, "asking for offsets by time of", topic);
        let partitions = self.partitions_of(topic).await?;
        let at = Spot::Time(time.timestamp_millis());
        let found = self.places(&asked, &partitions, at).await?;
        Ok(partitions
            .iter()
            .map(|partition| partition.partition)
            .zip(found)
            .collect())
    }

    pub(super) async fn partitions_of(
        &self,
        topic: &str,
    ) -> Result<Vec<TopicPartition>, AdminError> {
        let described = self.describe_topic(topic).await?;
        Ok(described
            .partitions
            .iter()
            .map(|p| TopicPartition::new(topic, p.partition))
            .collect())
    }

    /// The same place of each partition.
    pub(super) async fn places(
        &self,
        asked: &Asked<'_>,
        partitions: &[TopicPartition],
        at: Spot,
    ) -> Result<Vec<Option<i64>>, AdminError> {
        let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            let numbers = by_topic.entry(&*partition.topic).or_default();
            numbers.push(partition.partition);
        }
        let mut found = BTreeMap::new();
        for (topic, numbers) in by_topic {
            let answer = asked
                .port()?
                .list_offsets(topic.to_owned(), numbers.clone(), at, self.timeout)
                .await;
            let offsets = Asked::topic(self, asked.operation, topic).answer(answer)?;
            let numbers = numbers.into_iter();
            found.extend(numbers.map(|number| (topic, number)).zip(offsets));
        }
        Ok(partitions
            .iter()
            .map(|p| found.get(&(&*p.topic, p.partition)).copied().flatten())
            .collect())
    }

    /// First and next offsets.
    pub(super) async fn ends(
        &self,
        asked: &Asked<'_>,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(i64, i64)>, AdminError> {
        let (low, high) = futures_util::future::try_join(
            self.places(asked, partitions, Spot::Beginning),
            self.places(asked, partitions, Spot::End),
        )
        .await?;
        let ends = low.into_iter().zip(high);
        Ok(ends
            .map(|(low, high)| (low.unwrap_or(0), high.unwrap_or(0)))
            .collect())
    }

    /// Looks at the topic until it is as wanted: brokers hear of a change one after the other.
    async fn until(
        &self,
        asked: &Asked<'_>,
        topic: &str,
        wanted: impl Fn(Result<&TopicDescription, &TransportError>) -> bool,
    ) -> Result<(), AdminError> {
        let deadline = Instant::now() + self.timeout;
        let mut pause = LOOK;
        loop {
            let described = self.describe_each(&[topic.to_owned()]).await?;
            if described.first().is_none_or(|found| wanted(found.as_ref())) {
                return Ok(());
            }
            if Instant::now() + pause > deadline {
                let message = format!(
                    "it was done, but the brokers do not show it within {:?}",
                    self.timeout
                );
                return Err(asked.own(AdminErrorKind::Unreachable, message));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AT_MOST);
        }
    }
}

pub(super) fn id(partition: &TopicPartition) -> PartitionId {
    PartitionId::new(&*partition.topic, partition.partition)
}

/// What an error says of the request.
pub(super) struct Asked<'a> {
    admin: &'a Admin,
    pub(super) operation: &'static str,
    subject: String,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        admin: &'a Admin,
        operation: &'static str,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            admin,
            operation,
            subject: subject.into(),
        }
    }

    pub(super) fn topic(admin: &'a Admin, operation: &'static str, name: &str) -> Self {
        // A name that comes from outside must not write into a log what it likes.
        Self::new(admin, operation, format!("topic `{}`", name.escape_debug()))
    }

    pub(super) fn group(admin: &'a Admin, operation: &'static str, name: &str) -> Self {
        Self::new(admin, operation, format!("group `{}`", name.escape_debug()))
    }

    pub(super) fn port(&self) -> Result<Arc<dyn AdminPort>, AdminError> {
        self.answer((self.admin.cluster.connect)())
    }

    pub(super) fn answer<T>(&self, result: Result<T, TransportError>) -> Result<T, AdminError> {
        let cluster = &self.admin.cluster.name;
        result.map_err(|error| AdminError::of(cluster, self.operation, &self.subject, error))
    }

    pub(super) fn own(&self, kind: AdminErrorKind, message: impl Into<String>) -> AdminError {
        let cluster = &self.admin.cluster.name;
        AdminError::own(cluster, self.operation, &self.subject, kind, message)
    }

    pub(super) fn valid<T>(&self, checked: Result<T, String>) -> Result<T, AdminError> {
        checked.map_err(|message| self.own(AdminErrorKind::Invalid, message))
    }
}
