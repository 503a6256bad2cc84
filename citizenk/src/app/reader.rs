//! Reads by programs that run no app.

use std::sync::Arc;

use super::{App, registries};
use crate::config::Settings;
use crate::error::RunError;
use crate::extract::Reader;
use crate::runtime::clusters::Clusters;
use crate::runtime::read::AllReads;
use crate::schema::Schemas;

impl Reader {
    /// A reader of the clusters the settings name, for tools that run no app. Nothing is sent before the first
    /// read.
    ///
    /// # Errors
    /// Settings that name no cluster, or that the client refuses.
    ///
    /// ```
    /// use citizenk::testing::EmbeddedCluster;
    /// use citizenk::{Flags, Reader, Settings};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = EmbeddedCluster::start()?;
    /// cluster.create_topic("orders", 1)?;
    /// let flags = Flags {
    ///     bootstrap_servers: Some(cluster.bootstrap_servers().to_owned()),
    ///     ..Flags::default()
    /// };
    /// let settings = Settings::resolve(flags, &Default::default(), None).expect("right settings");
    /// let reader = Reader::connect(&settings)?;
    /// let newest = reader.raw("orders").last(10).stream().all().await?;
    /// assert!(newest.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn connect(settings: &Settings) -> Result<Self, RunError> {
        // It proves who it is by the settings alone; a token function belongs to an app.
        let app = App::new("citizenk-read");
        let schemas = registries::of_settings(settings)?;
        let reader = Self::over(app.clusters_of(settings)?, settings, app.name);
        Ok(reader.with_schemas(schemas))
    }

    pub(crate) fn over(
        clusters: Clusters,
        settings: &Settings,
        client_id: impl Into<String>,
    ) -> Self {
        let reads = Arc::new(AllReads {
            clusters,
            client_id: client_id.into(),
            names: settings.names(),
        });
        Self::new(reads, Schemas::none())
    }
}
