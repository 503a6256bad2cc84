//! Ids that are asked for right now: one flight each, whoever waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::time::{Instant, sleep};

use super::Inner;
use super::error::RegistryError;
use super::schema::RegisteredSchema;
use crate::schema::SchemaId;

/// How often an id is asked for.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long it is remembered that an id is not known.
const UNKNOWN: Duration = Duration::from_secs(1);
/// How many of those are remembered: garbage can name any number of ids.
const MANY: usize = 1024;

type Fetched = Result<Arc<RegisteredSchema>, RegistryError>;
type Flight = Shared<BoxFuture<'static, Fetched>>;

#[derive(Default)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default)]
struct State {
    /// Weak: a flight that nobody waits for any more is over.
    flying: HashMap<SchemaId, WeakShared<BoxFuture<'static, Fetched>>>,
    unknown: HashMap<SchemaId, (Instant, RegistryError)>,
}

impl Flights {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left a map that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn land(&self, id: SchemaId, result: &Fetched) {
        let mut state = self.state();
        state.flying.remove(&id);
        let Err(error) = result else { return };
        if error.is_unknown() {
            let now = Instant::now();
            if state.unknown.len() >= MANY {
                state.unknown.retain(|_, (until, _)| *until > now);
            }
            if state.unknown.len() < MANY {
                state.unknown.insert(id, (now + UNKNOWN, error.clone()));
            }
        }
    }
}

pub(super) async fn fetch(inner: &Arc<Inner>, id: SchemaId) -> Fetched {
    let flight = {
        let mut state = inner.flights.state();
        // It may have landed since the caller looked.
        if let Some(schema) = inner.known(id) {
            return Ok(schema);
        }
        match state.unknown.get(&id) {
            Some((until, error)) if Instant::now() < *until => return Err(error.clone()),
            Some(_) => drop(state.unknown.remove(&id)),
            None => {}
        }
        match state.flying.get(&id).and_then(WeakShared::upgrade) {
            Some(flight) => flight,
            None => {
                let flight = take_off(inner.clone(), id);
                if let Some(weak) = flight.downgrade() {
                    state.flying.insert(id, weak);
                }
                flight
            }
        }
    };
    flight.await
}

fn take_off(inner: Arc<Inner>, id: SchemaId) -> Flight {
    async move {
        let result = persist(&inner, id).await;
        let result = result.map(|schema| inner.learn(id, schema));
        inner.flights.land(id, &result);
        result
    }
    .boxed()
    .shared()
}

async fn persist(inner: &Inner, id: SchemaId) -> Result<RegisteredSchema, RegistryError> {
    let mut pause = FIRST_PAUSE;
    let mut tried = 1;
    loop {
        let error = match inner.client.schema(id).await {
            Ok(schema) => return Ok(schema),
            Err(error) => error,
        };
        if tried == TRIES || !(error.is_retriable() || error.is_unknown()) {
            return Err(error);
        }
        tracing::debug!(%id, tried, %error, "the schema is asked for again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        tried += 1;
    }
}
