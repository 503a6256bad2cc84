//! Schemas by id: looked up for every record, added to a few times in the life of a process.
//!
//! A fixed table of chains that only ever grow at their end. Looking up follows pointers that are set once, so
//! readers wait for nobody and write nothing that others read. What an id means never changes, so nothing is ever
//! taken out; there are as many as the registry has schemas that stood in records.

use std::sync::{Arc, OnceLock};

use super::schema::RegisteredSchema;

/// Ids are given out one after the other, so they spread evenly.
const CHAINS: usize = 256;

struct Link {
    schema: Arc<RegisteredSchema>,
    next: Chain,
}

#[derive(Default)]
struct Chain(OnceLock<Box<Link>>);

pub(super) struct Ids(Box<[Chain]>);

impl Default for Ids {
    fn default() -> Self {
        Self((0..CHAINS).map(|_| Chain::default()).collect())
    }
}

impl Ids {
    fn chain(&self, id: u32) -> &Chain {
        &self.0[id as usize % CHAINS]
    }

    pub(super) fn get(&self, id: u32) -> Option<&Arc<RegisteredSchema>> {
        let mut chain = self.chain(id);
        while let Some(link) = chain.0.get() {
            if link.schema.id == id {
                return Some(&link.schema);
            }
            chain = &link.next;
        }
        None
    }

    /// Adds a schema unless its id is there; answers the one that is.
    pub(super) fn add(&self, schema: Arc<RegisteredSchema>) -> &Arc<RegisteredSchema> {
        let id = schema.id;
        let mut chain = self.chain(id);
        let mut mine = Some(schema);
        loop {
            let link = chain.0.get_or_init(|| {
                // Given away at the first free place, and there is no second one.
                let schema = mine.take().unwrap_or_else(|| unreachable!());
                Box::new(Link {
                    schema,
                    next: Chain::default(),
                })
            });
            if link.schema.id == id {
                return &link.schema;
            }
            chain = &link.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaText;

    fn schema(id: u32, text: &str) -> Arc<RegisteredSchema> {
        Arc::new(RegisteredSchema {
            id,
            schema: Arc::new(SchemaText::avro(text)),
        })
    }

    #[test]
    fn ids_of_one_chain_do_not_hide_one_another_and_the_first_stays() {
        let ids = Ids::default();
        let colliding = (0..4).map(|n| n * CHAINS as u32 + 3);
        for id in colliding.clone() {
            assert!(ids.get(id).is_none());
            ids.add(schema(id, &id.to_string()));
        }
        assert_eq!(ids.add(schema(3, "another")).text(), "3");
        for id in colliding {
            assert_eq!(ids.get(id).unwrap().text(), id.to_string());
        }
    }

    #[test]
    fn many_threads_add_and_find() {
        let ids = Ids::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for id in 0..5000 {
                        ids.add(schema(id, &id.to_string()));
                        assert_eq!(ids.get(id).unwrap().id, id);
                    }
                });
            }
        });
        assert!((0..5000).all(|id| ids.get(id).unwrap().text() == id.to_string()));
    }
}
