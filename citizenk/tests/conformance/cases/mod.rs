//! What every broker has to do alike.

pub(crate) mod dynamic;
pub(crate) mod groups;
pub(crate) mod lanes;
pub(crate) mod outputs;
pub(crate) mod policies;
pub(crate) mod reading;
pub(crate) mod records;
pub(crate) mod refusals;

use std::sync::{Arc, Mutex};

use citizenk::prelude::*;
use tokio::sync::Semaphore;

pub(crate) use crate::world::{Broker, Push, World};

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) id: u32,
}

pub(crate) const ORDERS: Topic<Order, u32> = Topic::json("orders");
pub(crate) const DONE: Topic<Order, u32> = Topic::json("done");
pub(crate) const LETTERS: Topic<RawBytes> = Topic::raw("letters");

/// One partition each.
pub(crate) const ALL: [(&str, usize); 3] = [("orders", 1), ("done", 1), ("letters", 1)];

/// What handlers saw.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn say(&self, what: impl ToString) {
        self.0.lock().unwrap().push(what.to_string());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) async fn until(&self, world: &World, len: usize) -> Vec<String> {
        let what = format!("{len} calls");
        world.until(&what, || self.len() >= len).await;
        self.all()
    }
}

/// Calls wait here until a case lets them go on.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    pub(crate) fn let_go(&self, calls: usize) {
        self.0.add_permits(calls);
    }
}

/// An app with these two as state.
pub(crate) fn app(seen: &Seen, gate: &Gate) -> App {
    App::new("conformance")
        .state(seen.clone())
        .state(gate.clone())
}
