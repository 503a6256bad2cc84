//! The other workers of the service, as far as this one knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Request;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::carrier::{Carrier, Sockets};
use super::owner::{Member, Peer};
use super::question::{Asked, Questions};
use super::sign::Key;
use super::{hop_header, now};
use crate::record::TopicPartition;
use crate::web::Problem;
use crate::web::port::Service;

/// Where workers tell each other what they have, below the prefix.
pub(crate) const OWNED: &str = "/cluster/owned/{cluster}/{group}";
/// How long what is known counts as long as nothing says otherwise.
const FRESH: Duration = Duration::from_secs(10);
/// The same of the number of a topic's partitions, which grows now and then; when it does, the group rebalances.
const FRESH_COUNT: Duration = Duration::from_secs(60);
/// So many members that are no workers are remembered.
const STRANGERS: usize = 100;
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same where the answer is not needed.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

/// How this worker finds and is found.
#[derive(Clone)]
pub(crate) struct Neighbourhood {
    /// Where others reach this worker.
    pub(crate) own: String,
    pub(crate) key: Key,
    /// Addresses of workers, where the broker is not asked for them.
    pub(crate) peers: Vec<String>,
    pub(crate) carrier: Arc<dyn Carrier>,
}

impl fmt::Debug for Neighbourhood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Neighbourhood({})", self.own)
    }
}

impl Default for Neighbourhood {
    fn default() -> Self {
        Self {
            own: String::new(),
            key: Key::default(),
            peers: Vec::new(),
            carrier: Arc::new(Sockets),
        }
    }
}

impl Neighbourhood {
    /// What goes into the client id.
    pub(crate) fn client_id(&self) -> String {
        self.key.tag(&self.own)
    }
}

/// A group on a cluster.
pub(super) type GroupName = (&'static str, String);

/// A topic that a group reads: another group has rebalances of its own.
type TopicName = (GroupName, String);

/// What was known at a time.
#[derive(Debug)]
pub(super) struct Known<T> {
    at: Instant,
    /// The own rebalances by then: after another one all of it may be wrong.
    rebalances: u64,
    pub(super) what: T,
}

type Memory<K, T> = Mutex<BTreeMap<K, Arc<Known<T>>>>;

/// Finds workers; one per running app.
pub(crate) struct Workers {
    pub(super) service: Arc<dyn Service>,
    pub(super) hood: Neighbourhood,
    known: Memory<GroupName, Vec<Member>>,
    /// How many partitions topics have.
    counts: Memory<TopicName, u32>,
    /// Who comes while one is open takes its answer.
    questions: Questions<GroupName, Arc<Known<Vec<Member>>>>,
    counting: Questions<TopicName, Arc<Known<u32>>>,
    /// Members that are no workers and were told of.
    strangers: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hood.fmt(f)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a worker says it has.
#[derive(Serialize, Deserialize)]
pub(super) struct Owned {
    pub(super) partitions: Vec<(String, i32)>,
}

impl Workers {
    pub(crate) fn new(service: Arc<dyn Service>, hood: Neighbourhood) -> Self {
        Self {
            service,
            hood,
            known: Mutex::default(),
            counts: Mutex::default(),
            questions: Questions::default(),
            counting: Questions::default(),
            strangers: Mutex::default(),
        }
    }

    /// Whether a member that is no worker is news.
    fn is_stranger(&self, member: &str) -> bool {
        let mut known = lock(&self.strangers);
        if known.len() >= STRANGERS {
            known.clear();
        }
        known.insert(member.to_owned())
    }

    /// How many partitions the topic that a group reads has.
    pub(super) async fn partitions(
        self: &Arc<Self>,
        group: &GroupName,
        topic: &str,
    ) -> Result<u32, Problem> {
        let name = (group.clone(), topic.to_owned());
        let rebalances = self.rebalances(group);
        if let Some(known) = fresh(&self.counts, &name, rebalances, FRESH_COUNT) {
            return Ok(known.what);
        }
        let (workers, topic) = (self.clone(), name.clone());
        let ask = move || async move {
            let at = Instant::now();
            let asked = workers.service.partitions(topic.0.0, topic.1.clone());
            let what = match timeout(PATIENCE, asked).await {
                Ok(count) => count?,
                Err(_) => {
                    return Err(unknown(
                        "the broker does not say how many partitions there are",
                    ));
                }
            };
            Ok(remember(&workers.counts, topic, at, rebalances, what))
        };
        match self.counting.ask(&name, ask).await {
            Asked::Mine(count) | Asked::Joined(count) => count.map(|known| known.what),
        }
    }

    /// Who has what of a group; not older than `than`, or than a while.
    pub(super) async fn members(
        self: &Arc<Self>,
        group: &GroupName,
        than: Option<Instant>,
    ) -> Result<Arc<Known<Vec<Member>>>, Problem> {
        let rebalances = self.rebalances(group);
        let newer = |known: &Known<_>| than.is_none_or(|than| known.at >= than);
        let known = fresh(&self.known, group, rebalances, FRESH);
        if let Some(known) = known.filter(|known| newer(known)) {
            return Ok(known);
        }
        match self.question(group).await {
            // Begun before this one came, its answer may be older than what this one knows already.
            Asked::Joined(Ok(known)) if known.rebalances != rebalances || !newer(&known) => {}
            Asked::Mine(known) | Asked::Joined(known) => return known,
        }
        match self.question(group).await {
            Asked::Mine(known) | Asked::Joined(known) => known,
        }
    }

    /// As [`Workers::members`], for who answers alone where nobody says who the others are: those that were known
    /// last, for as long as an answer counts.
    pub(super) async fn company(self: &Arc<Self>, group: &GroupName) -> Arc<Known<Vec<Member>>> {
        let asked = timeout(SHORT_PATIENCE, self.members(group, None)).await;
        match asked.unwrap_or_else(|_| Err(unknown("the broker takes its time"))) {
            Ok(known) => known,
            Err(problem) => {
                tracing::debug!(group = group.1, %problem, "who the other workers are is not known");
                let last = lock(&self.known).get(group).cloned();
                let last = last.map_or_else(Vec::new, |known| known.what.clone());
                let (now, rebalances) = (Instant::now(), self.rebalances(group));
                remember(&self.known, group.clone(), now, rebalances, last)
            }
        }
    }

    async fn question(
        self: &Arc<Self>,
        group: &GroupName,
    ) -> Asked<Result<Arc<Known<Vec<Member>>>, Problem>> {
        let (workers, asked) = (self.clone(), group.clone());
        let ask = move || async move {
            // Before the question: what happens meanwhile is not in the answer.
            let (at, rebalances) = (Instant::now(), workers.rebalances(&asked));
            let what = match timeout(PATIENCE, workers.ask(&asked)).await {
                Ok(members) => members?,
                Err(_) => return Err(unknown("nobody says which worker has which partition")),
            };
            Ok(remember(&workers.known, asked, at, rebalances, what))
        };
        self.questions.ask(group, ask).await
    }

    fn rebalances(&self, group: &GroupName) -> u64 {
        self.service.rebalances(group.0, &group.1)
    }

    async fn ask(&self, group: &GroupName) -> Result<Vec<Member>, Problem> {
        if !self.hood.peers.is_empty() {
            return Ok(self.ask_peers(group).await);
        }
        if group.1.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.service.members(group.0, group.1.clone()).await?;
        let mut members: Vec<Member> = Vec::new();
        for (client_id, partitions) in found {
            let vouched = !self.hood.key.is_empty();
            let peer = match self.hood.key.untag(&client_id) {
                Some(url) => Peer::parse(url, vouched),
                None => Err("does not have the tag of this cluster's secret"),
            };
            match peer {
                // A worker with agents of both guarantees is two members of one group.
                Ok(peer) => match members.iter_mut().find(|known| known.peer == peer) {
                    Some(known) => known.partitions.extend(partitions),
                    None => members.push(Member {
                        peer,
                        partitions: partitions.into_iter().collect(),
                    }),
                },
                Err(reason) => {
                    // Whatever it is, no request goes there.
                    let member = client_id.split('#').next().unwrap_or_default();
                    if self.is_stranger(member) {
                        tracing::warn!(
                            group = group.1,
                            member,
                            "a member of the group {reason}; no request goes there"
                        );
                    }
                }
            }
        }
        // Of a classic group that rebalances the broker tells nobody's partitions; who has given one up says so
        // when it is asked for it.
        if members.iter().all(|member| member.partitions.is_empty())
            && let Some(last) = lock(&self.known).get(group)
        {
            for member in &mut members {
                let same = |old: &&Member| old.peer.url == member.peer.url;
                if let Some(old) = last.what.iter().find(same) {
                    member.partitions.clone_from(&old.partitions);
                }
            }
        }
        Ok(members)
    }

    /// Asks every worker of the list; those that do not answer have nothing as far as is known.
    async fn ask_peers(&self, group: &GroupName) -> Vec<Member> {
        let peers = self.hood.peers.iter().filter(|url| **url != self.hood.own);
        let asked = peers.filter_map(|url| match Peer::parse(url, !self.hood.key.is_empty()) {
            Ok(peer) => Some(self.ask_peer(peer, group)),
            Err(reason) => {
                tracing::warn!(peer = url, "an address in CITIZENK_PEERS {reason}");
                None
            }
        });
        let answers = futures_util::future::join_all(asked).await;
        answers.into_iter().flatten().collect()
    }

    async fn ask_peer(&self, peer: Peer, (cluster, group): &GroupName) -> Option<Member> {
        if group.is_empty() {
            // Nobody has parts of it; whoever is listed is asked.
            return Some(Member {
                peer,
                partitions: Default::default(),
            });
        }
        let path = OWNED
            .replace("{cluster}", cluster)
            .replace("{group}", group);
        let hop = hop_header(&self.hood.key, "GET", &path, b"", now(), Vec::new());
        let request = Request::get(format!("{}{path}", peer.prefix))
            .header("host", "localhost")
            .header(super::HOP, hop)
            .body(Bytes::new())
            .ok()?;
        let answer = timeout(PATIENCE / 2, self.hood.carrier.carry(&peer, request)).await;
        let answer = match answer {
            Ok(Ok(answer)) if answer.status().is_success() => answer,
            Ok(Ok(answer)) => {
                tracing::debug!(peer = peer.url, status = %answer.status(), "it does not say what it has");
                return Some(Member {
                    peer,
                    partitions: Default::default(),
                });
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = peer.url, %error, "it does not say what it has");
                return Some(Member {
                    peer,
                    partitions: Default::default(),
                });
            }
            Err(_) => {
                return Some(Member {
                    peer,
                    partitions: Default::default(),
                });
            }
        };
        let owned: Owned = serde_json::from_slice(answer.body()).ok()?;
        let partitions = owned.partitions.into_iter();
        Some(Member {
            peer,
            partitions: partitions
                .map(|(topic, partition)| TopicPartition::new(topic, partition))
                .collect(),
        })
    }
}

/// What is known and still counts.
fn fresh<K: Ord, T>(
    memory: &Memory<K, T>,
    name: &K,
    rebalances: u64,
    how_long: Duration,
) -> Option<Arc<Known<T>>> {
    let known = lock(memory).get(name).cloned()?;
    (known.rebalances == rebalances && known.at.elapsed() < how_long).then_some(known)
}

fn remember<K: Ord, T>(
    memory: &Memory<K, T>,
    name: K,
    at: Instant,
    rebalances: u64,
    what: T,
) -> Arc<Known<T>> {
    let known = Arc::new(Known {
        at,
        rebalances,
        what,
    });
    lock(memory).insert(name, known.clone());
    known
}

/// Nobody knows whose request it is; that passes.
pub(super) fn unknown(reason: impl Into<String>) -> Problem {
    Problem::unavailable(reason, Duration::from_secs(1))
}
