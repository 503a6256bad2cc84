//! Whose request it is.
//!
//! Pure: a key, the topic's partitions and who has them in; where to go out.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::record::TopicPartition;
use crate::topic::Partitioner;

/// Another worker of the service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer {
    /// `http://HOST:PORT/PREFIX`.
    pub(crate) url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) prefix: String,
}

impl Peer {
    /// Reads a worker's address. Without a secret nobody vouches for it, so it must be of this machine.
    pub(crate) fn parse(url: &str, vouched: bool) -> Result<Self, &'static str> {
        let uri: axum::http::Uri = url.parse().map_err(|_| "is no address")?;
        if uri.scheme_str() != Some("http") {
            return Err("does not begin with `http://`");
        }
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err("is more than a host, a port and a prefix");
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let address = host.parse::<IpAddr>();
        if let Ok(address) = address
            && !may_be_peer(address)
        {
            return Err("is not the address of a worker");
        }
        let local = address.is_ok_and(|address| address.to_canonical().is_loopback());
        if !vouched && !local {
            return Err("is not of this machine; set CITIZENK_CLUSTER_SECRET on all workers");
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            host,
            port: authority.port_u16().unwrap_or(80),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// Addresses no worker has, whoever vouches for them: those of link-local services (metadata of clouds), of
/// many at once and of nobody.
pub(super) fn may_be_peer(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_link_local() || v4.is_multicast() || v4.is_unspecified() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => !(v6.is_multicast() || v6.is_unspecified() || v6.is_unicast_link_local()),
    }
}

/// A worker and what it has of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) peer: Peer,
    pub(crate) partitions: BTreeSet<TopicPartition>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    There(&'a Peer),
    /// Nobody has the partition, as far as is known; or this worker, which knows that it has not.
    Unknown,
}

/// The partition of a key; `None` if its records are on any.
pub(super) fn partition_of(
    topic: &str,
    partitioner: Partitioner,
    key: &[u8],
    partitions: u32,
) -> Option<TopicPartition> {
    let number = partitioner.place(key, partitions)?;
    Some(TopicPartition::new(
        topic,
        i32::try_from(number).unwrap_or(i32::MAX),
    ))
}

/// Who has a partition that this worker, at `own`, has not.
pub(super) fn place<'a>(members: &'a [Member], own: &str, partition: &TopicPartition) -> Place<'a> {
    let others = members.iter().filter(|member| member.peer.url != own);
    let mut owners = others.filter(|member| member.partitions.contains(partition));
    match (owners.next(), owners.next()) {
        (Some(owner), None) => Place::There(&owner.peer),
        // Two that have it: one of them is being told otherwise right now.
        _ => Place::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_that_are_no_workers_are_refused() {
        for url in [
            "http://169.254.169.254/latest",
            "http://[::ffff:169.254.169.254]:80",
            "http://[fe80::1]:80",
            "http://0.0.0.0:8000",
            "http://224.0.0.1:8000",
            "http://user@10.0.0.1:8000",
            "http://10.0.0.1:8000?x",
            "https://10.0.0.1:8000",
            "file:///etc/passwd",
            "gopher://10.0.0.1",
            "worker-1",
            "",
        ] {
            assert!(Peer::parse(url, true).is_err(), "{url}");
        }
        let peer = Peer::parse("http://10.0.0.1:8000/api/", true).unwrap();
        assert_eq!((peer.port, peer.prefix.as_str()), (8000, "/api"));
        for url in [
            "http://10.0.0.1:8000",
            "http://localhost.evil.example:1",
            "http://a:80",
        ] {
            assert!(Peer::parse(url, false).is_err(), "{url}");
        }
        assert!(Peer::parse("http://127.0.0.1:8000", false).is_ok());
        assert!(Peer::parse("http://[::1]:8000", false).is_ok());
    }

    proptest! {
        /// However partitions are dealt: every key has one partition, and its owner is found unless it is this
        /// worker, nobody, or more than one.
        #[test]
        fn every_key_goes_to_the_owner_of_its_partition(
            key: Vec<u8>,
            partitions in 1_u32..64,
            dealt in prop::collection::vec(prop::option::of(0_usize..5), 64),
            twice in prop::option::of((0_i32..64, 0_usize..5)),
        ) {
            let url = |worker: usize| format!("http://127.0.0.1:{}", worker + 1);
            let members: Vec<Member> = (0..5)
                .map(|worker| {
                    let own = (0..partitions as i32).filter(|partition| {
                        dealt[*partition as usize] == Some(worker) || twice == Some((*partition, worker))
                    });
                    Member {
                        peer: Peer::parse(&url(worker), false).unwrap(),
                        partitions: own.map(|partition| TopicPartition::new("t", partition)).collect(),
                    }
                })
                .collect();
            let partition = partition_of("t", Partitioner::Murmur2, &key, partitions).unwrap();
            prop_assert!((0..partitions as i32).contains(&partition.partition));
            let owners: BTreeSet<usize> = (0..5)
                .filter(|worker| members[*worker].partitions.contains(&partition))
                .filter(|worker| *worker != 0)
                .collect();
            match place(&members, &url(0), &partition) {
                Place::There(peer) => {
                    prop_assert_eq!(owners.len(), 1);
                    prop_assert_eq!(&peer.url, &url(*owners.first().unwrap()));
                }
                Place::Unknown => prop_assert!(owners.len() != 1),
            }
        }
    }
}
