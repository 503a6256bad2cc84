//! Client settings that belong together.

use std::collections::BTreeMap;

use super::kafka::{self, ClientSettings};
use super::{Broker, Setting};
use crate::suggest::did_you_mean;

/// What the clients are tuned for. Single settings win over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Records wait a little for company.
    #[default]
    Throughput,
    /// Each record goes at once: more requests, more CPU time.
    Latency,
}

impl Profile {
    const ALL: [Self; 2] = [Self::Throughput, Self::Latency];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
        }
    }

    /// # Errors
    /// There is none of this name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let found = Self::ALL.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| {
            format!(
                "unknown profile `{}`; use `throughput` or `latency`{}",
                text.escape_debug(),
                did_you_mean(text, Self::ALL.map(Self::name)),
            )
        })
    }

    /// What differs from the clients' defaults, which are those of `Throughput`.
    fn consumer(self, broker: &Broker) -> &'static [(&'static str, &'static str)] {
        match (self, broker) {
            (Self::Throughput, _) => &[],
            // It answers a fetch that found nothing only after the whole wait.
            (Self::Latency, Broker::Embedded) => &[("fetch.wait.max.ms", "1")],
            // Others answer when there is a record. But one connection has one fetch under way, and a
            // partition that comes or goes on meanwhile waits for its end.
            (Self::Latency, _) => &[("fetch.wait.max.ms", "10")],
        }
    }

    fn producer(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Throughput => &[],
            Self::Latency => &[("linger.ms", "0")],
        }
    }
}

/// Puts the profile's settings below those that are given.
pub(super) fn below(
    profile: &Setting<Profile>,
    broker: &Broker,
    consumer: &mut ClientSettings,
    producer: &mut ClientSettings,
) {
    let sides = [
        (profile.consumer(broker), consumer),
        (profile.producer(), producer),
    ];
    for (own, given) in sides {
        let mut merged = BTreeMap::new();
        for (key, value) in own {
            let setting = Setting::new((*value).to_owned(), profile.source.clone());
            kafka::put(&mut merged, key, setting);
        }
        for (key, setting) in std::mem::take(given) {
            kafka::put(&mut merged, &key, setting);
        }
        *given = merged;
    }
}
