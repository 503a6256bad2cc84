//! A registry as codecs see it: schemas by id, and the ids of the app's own.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Registry, RegistryError};
use crate::schema::{Fetched, OwnSchema, SchemaError, SchemaId, SchemaSource, SchemaText, Side};

/// A schema and its id.
type Settled = (Arc<SchemaText>, u32);

/// One registry of an app.
pub(crate) struct RegistrySource {
    pub(crate) registry: Registry,
    /// The ids that were settled at the start, by topic and side; nearly always one schema each.
    own: RwLock<HashMap<(String, Side), Vec<Settled>>>,
}

impl fmt::Debug for RegistrySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registry.fmt(f)
    }
}

impl RegistrySource {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            own: RwLock::default(),
        }
    }

    /// From now on values of this schema are written with this id.
    pub(crate) fn settled(&self, own: &OwnSchema, id: u32) {
        let mut known = self.own.write().unwrap_or_else(PoisonError::into_inner);
        known
            .entry((own.topic.clone(), own.side))
            .or_default()
            .push((own.schema.clone(), id));
    }
}

impl SchemaSource for RegistrySource {
    fn cached(&self, id: SchemaId) -> Option<Arc<SchemaText>> {
        let id = match id {
            SchemaId::Number(id) => id,
            SchemaId::Guid(_) => {
                return self
                    .registry
                    .0
                    .known(id)
                    .map(|found| found.schema().clone());
            }
        };
        if let Some(known) = self.registry.cached(id) {
            return Some(known.schema().clone());
        }
        // Its own bytes are as its own schema says, whatever else the registered one says.
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let mut settled = own.values().flatten();
        settled
            .find(|(_, known)| *known == id)
            .map(|(schema, _)| schema.clone())
    }

    fn fetch(&self, id: SchemaId) -> Fetched<'_> {
        Box::pin(async move {
            let place = format!("the schema registry at {}", self.registry.0.client);
            match self.registry.fetch_named(id).await {
                Ok(found) => Ok(found.schema().clone()),
                Err(RegistryError::NotFound { .. }) => Err(SchemaError::Unknown { id, place }),
                Err(error) => Err(SchemaError::Unavailable {
                    id,
                    place,
                    reason: error.to_string(),
                }),
            }
        })
    }

    fn id_of(&self, own: &OwnSchema) -> Option<u32> {
        let known = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let ids = known.get(&(own.topic.clone(), own.side))?;
        let found = ids.iter().find(|(schema, _)| **schema == *own.schema);
        found.map(|(_, id)| *id)
    }

    fn latest(&self, topic: &str, side: Side) -> Option<(u32, Arc<SchemaText>)> {
        let known = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let (schema, id) = known.get(&(topic.to_owned(), side))?.last()?;
        Some((*id, schema.clone()))
    }
}
