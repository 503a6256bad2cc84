//! Who may have how many connections.
//!
//! In: the settings, the process's limit of open files, and connections as they come. Out: a [`Slot`] for each that
//! is served. Every connection is a file descriptor, and so is each of the Kafka clients', which must never be
//! without one because of clients of the web.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Of the limit of open files, what is not for connections: a quarter, within these bounds.
const OTHERS: (usize, usize) = (16, 256);
/// Of all places so many parts are left to others by one address of the network.
const LEFT: usize = 8;

/// How many connections go with a limit of open files.
pub(super) fn within(connections: usize, open_files: Option<usize>) -> usize {
    let room = open_files.map(|limit| limit.saturating_sub((limit / 4).clamp(OTHERS.0, OTHERS.1)));
    room.map_or(connections, |room| connections.min(room.max(1)))
}

/// How many files this process may open; `None` where there is no limit, or none that is known.
#[cfg(unix)]
pub(super) fn open_files() -> Option<usize> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    (soft != RLIM_INFINITY).then(|| usize::try_from(soft).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
pub(super) fn open_files() -> Option<usize> {
    None
}

/// Connections by address.
type Held = HashMap<IpAddr, usize>;

/// The places there are, and who has them.
#[derive(Clone, Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// How many one address may have; programs of this machine are as many as they like.
    each: usize,
    held: Arc<Mutex<Held>>,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Room {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            each: places - places / LEFT,
            held: Arc::default(),
        }
    }

    /// A place for a connection of this address.
    pub(super) fn take(&self, from: IpAddr) -> Option<Slot> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        let from = from.to_canonical();
        if from.is_loopback() {
            return Some(Slot {
                _place: place,
                of: None,
            });
        }
        let from = network(from);
        let mut held = lock(&self.held);
        let count = held.entry(from).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Slot {
            _place: place,
            of: Some((from, self.held.clone())),
        })
    }

    /// Waits until all places are free.
    pub(super) async fn until_empty(&self, places: usize) {
        let all = u32::try_from(places).unwrap_or(u32::MAX);
        // Nobody closes it.
        let _ = self.places.acquire_many(all).await;
    }

    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }
}

/// Who has an address of the sixth version has the network of its upper half.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
    }
}

/// Held by a connection while it lives, and by the websocket that it becomes.
#[derive(Debug)]
pub(super) struct Slot {
    _place: OwnedSemaphorePermit,
    of: Option<(IpAddr, Arc<Mutex<Held>>)>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some((from, held)) = &self.of else { return };
        let mut held = lock(held);
        if let Some(count) = held.get_mut(from) {
            *count -= 1;
            if *count == 0 {
                held.remove(from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_kafka_clients() {
        assert_eq!(within(1024, Some(1024)), 768);
        assert_eq!(within(1024, Some(65_536)), 1024);
        assert_eq!(within(100_000, Some(65_536)), 65_536 - 256);
        assert_eq!(within(1024, Some(48)), 32);
        assert_eq!(within(1024, Some(8)), 1);
        assert_eq!(within(1024, None), 1024);
    }

    #[test]
    fn one_address_leaves_places_to_others() {
        let room = Room::new(16);
        let greedy: IpAddr = "10.0.0.1".parse().unwrap();
        let held: Vec<Slot> = std::iter::from_fn(|| room.take(greedy)).collect();
        assert_eq!(held.len(), 14);
        // The same address, written as one of the sixth version.
        assert!(room.take("::ffff:10.0.0.1".parse().unwrap()).is_none());
        let other = room.take("10.0.0.2".parse().unwrap()).unwrap();
        let local = room.take("127.0.0.1".parse().unwrap()).unwrap();
        assert!(room.take("10.0.0.3".parse().unwrap()).is_none(), "full");
        drop((other, local));
        assert!(room.take(greedy).is_none());
        drop(held);
        assert_eq!(room.free(), 16);
        assert!(lock(&room.held).is_empty(), "nobody is remembered for ever");
        let home = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        let held: Vec<Slot> = (0..20)
            .filter_map(|number| room.take(home[number % 2]))
            .collect();
        assert_eq!(held.len(), 14, "addresses of one network are one");
        // Whoever serves this machine alone may be as many as there is room for.
        drop(held);
        let local: IpAddr = "::1".parse().unwrap();
        let held: Vec<Slot> = std::iter::from_fn(|| room.take(local)).collect();
        assert_eq!(held.len(), 16);
    }
}
