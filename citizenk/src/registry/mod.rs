//! The schema registry, by the REST API that Confluent's, Apicurio, Karapace and Redpanda speak.
//!
//! In: URLs and credentials, schemas to register or check, ids that stood in records. Out: schemas, ids, and what
//! makes a schema incompatible. A [`Registry`] owns its cache of ids: a schema that was fetched once is never asked
//! for again, looking at it takes neither a lock nor a request, and an id that is not known yet is asked for once,
//! however many lanes wait for it. Whether records may be skipped for it is not decided here: see
//! [`RegistryError::is_unknown`].
//!
//! - `client`: one request to the first URL that answers; credentials, limits, what each status means.
//! - `api`: the requests of the API, typed.
//! - `ids`: the cache; `flights`: one request per unknown id, with retries.
//! - `settle`: the id of a program's own schema, registered or looked up; `diff`: which field stands against it.
//! - `embedded`: a registry inside this process, for examples and tests.

mod api;
mod builder;
mod client;
mod diff;
mod embedded;
mod error;
mod flights;
mod ids;
mod schema;
mod settle;
mod source;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

pub use self::builder::RegistryBuilder;
use self::client::Client;
pub use self::embedded::EmbeddedRegistry;
pub use self::error::RegistryError;
use self::flights::Flights;
use self::ids::Ids;
pub use self::schema::{Compatibility, NewSchema, Reference, RegisteredSchema, SubjectVersion};
pub use self::settle::SettleError;
pub(crate) use self::source::RegistrySource;
use crate::config::Settings;
use crate::error::{ConfigError, SchemaId};
pub use crate::schema::{ResolvedReference, SchemaKind, SchemaMode, Side, SubjectStrategy};

/// A schema registry. Clones share connections' settings and the cache.
///
/// ```no_run
/// use citizenk::registry::{NewSchema, Registry};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::builder("https://registry.example:8081")
///     .basic_auth("billing", std::env::var("PASSWORD")?)
///     .build()?;
/// let schema = NewSchema::avro(r#"{"type": "record", "name": "Order", "fields": []}"#);
/// let id = registry.register("orders-value", &schema).await?;
/// assert_eq!(registry.fetch(id).await?.text(), schema.text());
/// assert!(registry.cached(id).is_some()); // from now on without a request
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    client: Client,
    ids: Ids,
    /// Those that headers name by a GUID: looked up once per topic and schema.
    guids: RwLock<HashMap<[u8; 16], Arc<RegisteredSchema>>>,
    flights: Flights,
}

impl Inner {
    pub(crate) fn known(&self, id: SchemaId) -> Option<Arc<RegisteredSchema>> {
        match id {
            SchemaId::Number(id) => self.ids.get(id).cloned(),
            SchemaId::Guid(guid) => {
                let known = self.guids.read().unwrap_or_else(PoisonError::into_inner);
                known.get(&guid).cloned()
            }
        }
    }

    fn learn(&self, id: SchemaId, schema: RegisteredSchema) -> Arc<RegisteredSchema> {
        let schema = Arc::new(schema);
        match id {
            SchemaId::Number(_) => self.ids.add(schema).clone(),
            SchemaId::Guid(guid) => {
                let mut known = self.guids.write().unwrap_or_else(PoisonError::into_inner);
                known.entry(guid).or_insert(schema).clone()
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.0.client)
    }
}

impl Registry {
    /// Begins with the URL of a registry; several joined by commas are one registry, and the first that answers is
    /// asked.
    pub fn builder(urls: &str) -> RegistryBuilder {
        RegistryBuilder::new(urls)
    }

    /// The registry of this name in the settings; the one without a name is `default`. Where the settings say
    /// `embedded`, it is one inside this process, the same for all who ask.
    ///
    /// ```
    /// use citizenk::registry::Registry;
    /// use citizenk::{Flags, Settings};
    ///
    /// # fn main() -> Result<(), Vec<citizenk::ConfigError>> {
    /// let flags = Flags {
    ///     embedded: true,
    ///     schema_registry_url: Some("http://registry:8081".into()),
    ///     ..Flags::default()
    /// };
    /// let settings = Settings::resolve(flags, &Default::default(), None)?;
    /// assert!(Registry::of_settings(&settings, "default").is_ok());
    /// let error = Registry::of_settings(&settings, "source").unwrap_err();
    /// assert!(error.to_string().contains("there are default"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// There is none of this name: the error lists those there are. Or its certificates cannot be used.
    pub fn of_settings(settings: &Settings, name: &str) -> Result<Self, ConfigError> {
        let Some(found) = settings.registries.get(name) else {
            let message = settings.registries.unknown(name);
            return Err(ConfigError::new("schema registry", message));
        };
        if found.urls.is_empty() {
            return Ok(Self::of_process());
        }
        RegistryBuilder::settings(found)
            .build()
            .map_err(|error| found.source.error("registry", error.message))
    }

    /// The one inside this process, the same for all who ask.
    pub(crate) fn of_process() -> Self {
        EmbeddedRegistry::of_process().registry()
    }

    /// The schema with this id, if it was fetched before: without a request and without a lock.
    #[must_use]
    pub fn cached(&self, id: u32) -> Option<&Arc<RegisteredSchema>> {
        self.0.ids.get(id)
    }

    /// The schema with this id, with everything it refers to; from the cache, or asked for.
    ///
    /// Who asks for an id that somebody asks for already waits for that answer. What may pass is tried again: five
    /// times, with pauses of 100 ms to 2 s; also an id that is not known, because it may not have reached the
    /// replica that was asked. That an id is not known is remembered for a second.
    ///
    /// # Errors
    /// As [`RegistryError`] says; after the retries.
    pub async fn fetch(&self, id: u32) -> Result<Arc<RegisteredSchema>, RegistryError> {
        match self.cached(id) {
            Some(schema) => Ok(schema.clone()),
            None => flights::fetch(&self.0, id.into()).await,
        }
    }

    /// The same, for what stands in headers, too.
    pub(crate) async fn fetch_named(
        &self,
        id: SchemaId,
    ) -> Result<Arc<RegisteredSchema>, RegistryError> {
        match id {
            SchemaId::Number(id) => self.fetch(id).await,
            SchemaId::Guid(_) => flights::fetch(&self.0, id).await,
        }
    }

    /// How many requests have been sent so far; in the steady state none per record.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.0.client.requests()
    }
}
