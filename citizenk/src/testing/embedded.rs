//! The broker inside this process, for tests that need the real client, real threads and real time.

use std::future::Future;
use std::sync::Arc;

use crate::app::Service;
use crate::error::{RunError, TransportError};
use crate::transport::rdkafka::{EmbeddedBroker, EmbeddedOptions, KafkaTransport};

pub use crate::transport::rdkafka::SendRefusal;

/// A broker inside this process that outlives services: for tests of restarts and of several workers.
///
/// A service with `--embedded` starts a broker of its own, whose records end with it. This one may be
/// used by many services, one after the other or at once, and by any other client. Tests that need none
/// of that are quicker and deterministic on a [`TestApp`](super::TestApp).
///
/// ```
/// use citizenk::prelude::*;
/// use citizenk::testing::EmbeddedCluster;
/// use citizenk::{Flags, Settings};
///
/// #[tokio::main]
/// async fn main() -> Result<(), citizenk::RunError> {
///     let cluster = EmbeddedCluster::start()?;
///     let flags = Flags { embedded: true, http: Some("127.0.0.1:0".into()), ..Flags::default() };
///     for _run in 0..2 {
///         let settings = Settings::resolve(flags.clone(), &Default::default(), None)?;
///         let service = App::new("twice").build_with(settings).await?;
///         cluster.run(service, async {}).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct EmbeddedCluster {
    broker: Arc<EmbeddedBroker>,
}

impl EmbeddedCluster {
    /// Starts a broker; it ends with the last clone of this value and the last service on it.
    ///
    /// # Errors
    /// When no loopback port can be opened.
    pub fn start() -> Result<Self, TransportError> {
        Ok(Self {
            broker: EmbeddedBroker::start(EmbeddedOptions::default())?,
        })
    }

    /// The address other clients reach it at.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        self.broker.bootstrap_servers()
    }

    /// Creates a topic unless it exists; those that a service uses are created by it, with 4 partitions.
    ///
    /// # Errors
    /// When the name is not one of a topic.
    pub fn create_topic(&self, name: &str, partitions: usize) -> Result<(), TransportError> {
        self.broker.create_topic(name, partitions)
    }

    /// The next `requests` requests to write records are refused, whoever sends them and to whatever topic.
    pub fn refuse_sends(&self, refusal: SendRefusal, requests: usize) {
        self.broker.refuse_sends(refusal, requests);
    }

    /// Forgets what [`Self::refuse_sends`] has left.
    pub fn accept_sends(&self) {
        self.broker.accept_sends();
    }

    /// Runs a service here, wherever its settings point to, until `shutdown` completes or something stops
    /// it. That is, the cluster without a name; others are where the settings say.
    ///
    /// # Errors
    /// As [`Service::run_until`].
    pub async fn run(
        &self,
        service: Service,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), RunError> {
        let transport = Arc::new(KafkaTransport::on_embedded(self.broker.clone()));
        service.run_here(transport, shutdown).await
    }
}
