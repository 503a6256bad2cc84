//! The library's own arguments in HTTP handlers: `State`, `Producer`, `Reader`, `Background`,
//! `Shutdown`, `AppInfo`, `Clock`, `Admin`.
//!
//! They come from the environment the app puts into each request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{ApiInput, Operation, Problem};
use crate::admin::Admin;
use crate::extract::{
    AppInfo, Background, Env, Producer, Reader, Shutdown, State, StateRequirement,
};
use crate::runtime::agents::Agents;
use crate::time::Clock;

/// The environment of the app that serves the request.
fn env(parts: &Parts) -> Result<&Env, Problem> {
    parts
        .extensions
        .get::<Env>()
        .ok_or_else(|| Problem::internal("the router is not served by a citizenk app"))
}

impl<S: Sync, T: Clone + Send + Sync + 'static> FromRequestParts<S> for State<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || {
            let name = std::any::type_name::<T>();
            Problem::internal(format!("the app has no state of type `{name}`"))
        };
        env(parts)?.states.get::<T>().map(Self).ok_or_else(missing)
    }
}

/// Not part of the document, but checked when the app is built.
impl<T: Clone + Send + Sync + 'static> ApiInput for State<T> {
    fn input(operation: &mut Operation) {
        operation.states.push(StateRequirement::of::<T>());
    }
}

macro_rules! from_env {
    ($($ty:ty: $field:ident),*) => {$(
        impl<S: Sync> FromRequestParts<S> for $ty {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                Ok(env(parts)?.$field.clone())
            }
        }
    )*};
}

impl<S: Sync> FromRequestParts<S> for Agents {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::internal("the router is not served by a running app");
        env(parts)?.states.get::<Self>().ok_or_else(missing)
    }
}

from_env!(Producer: producer, Reader: reader, Admin: admin, Background: background, Shutdown: shutdown, AppInfo: app, Clock: clock);
