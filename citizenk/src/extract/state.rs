//! Shared values of the app.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{Call, Extract, Mode, PrepareContext, Requirements};
use crate::error::{AgentError, BuildIssue};

/// A value registered with `App::state`, cloned per call (put an `Arc` inside, as in axum).
///
/// In-memory state is per process: it survives neither a restart nor a move of partitions to another
/// worker.
///
/// ```
/// use citizenk::prelude::*;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Clone, Default)]
/// struct Count(Arc<AtomicU64>);
///
/// async fn handler(State(count): State<Count>) {
///     count.0.fetch_add(1, Ordering::Relaxed);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<T>(pub T);

impl<T> Deref for State<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for State<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A state type some component needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateRequirement {
    pub(crate) id: TypeId,
    pub(crate) name: &'static str,
}

impl StateRequirement {
    pub(crate) fn of<T: 'static>() -> Self {
        Self {
            id: TypeId::of::<T>(),
            name: type_name::<T>(),
        }
    }
}

/// State values by type; one per type.
#[derive(Clone, Default)]
pub(crate) struct StateMap {
    values: Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl StateMap {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        Arc::make_mut(&mut self.values).insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn get<T: Clone + 'static>(&self) -> Option<T> {
        self.values
            .get(&TypeId::of::<T>())?
            .downcast_ref::<T>()
            .cloned()
    }
}

impl fmt::Debug for StateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateMap({} values)", self.values.len())
    }
}

pub(crate) fn missing_state(component: &str, name: &str) -> BuildIssue {
    BuildIssue::new(
        component,
        format!(
            "needs `State<{name}>`, which the app does not have; add `.state(..)` or `.state_with(..)`"
        ),
    )
}

impl<M: Mode, T: Clone + Send + Sync + 'static> Extract<M> for State<T> {
    type Prepared = T;

    fn requires(requirements: &mut Requirements) {
        requirements.states.push(StateRequirement::of::<T>());
    }

    fn prepare(cx: &PrepareContext<'_>) -> Result<T, BuildIssue> {
        cx.state::<T>()
            .ok_or_else(|| missing_state(cx.component, type_name::<T>()))
    }

    fn extract(prepared: &T, _: &Call<'_, M>) -> Result<Self, AgentError> {
        Ok(Self(prepared.clone()))
    }
}
