//! Schemas of the process itself: tests, and services whose only reader they are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Fetched, OwnSchema, SchemaError, SchemaId, SchemaSource, SchemaText};

/// Gives every schema an id, 1 for the first, and forgets all of them with the process.
///
/// What `TestApp` and `Outbox::detached` use: framed topics work in tests without a registry.
#[derive(Debug, Default)]
pub struct LocalSchemas {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    texts: Vec<Arc<SchemaText>>,
    ids: HashMap<Arc<SchemaText>, u32>,
}

impl LocalSchemas {
    /// The id of a schema; the same for the same text.
    pub fn register(&self, schema: SchemaText) -> u32 {
        self.add(&Arc::new(schema))
    }

    fn add(&self, schema: &Arc<SchemaText>) -> u32 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known.ids.get(schema) {
            return *id;
        }
        known.texts.push(schema.clone());
        let id = u32::try_from(known.texts.len()).unwrap_or(u32::MAX);
        known.ids.insert(schema.clone(), id);
        id
    }
}

impl SchemaSource for LocalSchemas {
    fn cached(&self, id: SchemaId) -> Option<Arc<SchemaText>> {
        let SchemaId::Number(id) = id else {
            return None;
        };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        known.texts.get(index).cloned()
    }

    fn fetch(&self, id: SchemaId) -> Fetched<'_> {
        let found = self.cached(id).ok_or_else(|| SchemaError::Unknown {
            id,
            place: "this process".to_owned(),
        });
        Box::pin(std::future::ready(found))
    }

    fn id_of(&self, own: &OwnSchema) -> Option<u32> {
        Some(self.add(&own.schema))
    }
}
