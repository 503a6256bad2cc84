//! Groups of components.

use super::{Component, ComponentDef};
use crate::middleware::{Middleware, Wrap};
use crate::policy::{Guarantee, Policy};

/// What an app or module says for its components: policies where they have none of their own, middlewares
/// around all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    /// From the outermost to the innermost.
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) on_decode_error: Option<Policy>,
    pub(crate) on_error: Option<Policy>,
    pub(crate) on_produce_error: Option<Policy>,
    pub(crate) guarantee: Option<Guarantee>,
    pub(crate) prefix: String,
    /// The names of the modules around, joined by `/`.
    pub(crate) module: String,
}

/// A group of components with a path prefix and policies of its own; modules nest.
///
/// ```
/// use citizenk::prelude::*;
/// # #[citizenk::message] struct Order { id: u32 }
/// # const ORDERS: Topic<Order> = Topic::json("orders");
/// #[citizenk::agent(topics = [ORDERS])]
/// async fn bill(order: Event<Order>) { println!("{}", order.value.id); }
///
/// fn billing() -> Module {
///     Module::new("billing").prefix("/billing").register::<bill>()
/// }
///
/// let app = App::new("shop").include(billing());
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
pub struct Module {
    pub(crate) name: String,
    pub(crate) defaults: Defaults,
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(crate) enum Item {
    Component(Box<ComponentDef>),
    Module(Box<Module>),
}

impl Module {
    /// An empty module; the name is shown in listings.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            defaults: Defaults::default(),
            items: Vec::new(),
        }
    }

    /// Put in front of the paths of the module's routes; starts with `/`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.defaults.prefix);
        self
    }

    /// For agents that have no `on_error` of their own.
    #[must_use]
    pub fn on_error(mut self, policy: Policy) -> Self {
        self.defaults.on_error = Some(policy);
        self
    }

    /// For agents that have no `on_decode_error` of their own.
    #[must_use]
    pub fn on_decode_error(mut self, policy: Policy) -> Self {
        self.defaults.on_decode_error = Some(policy);
        self
    }

    /// For agents that have no `on_produce_error` of their own.
    #[must_use]
    pub fn on_produce_error(mut self, policy: Policy) -> Self {
        self.defaults.on_produce_error = Some(policy);
        self
    }

    /// For agents that have no `guarantee` of their own.
    #[must_use]
    pub fn guarantee(mut self, guarantee: Guarantee) -> Self {
        self.defaults.guarantee = Some(guarantee);
        self
    }

    /// Puts a [middleware](crate::middleware) around each call of the module's agents, timers and hooks,
    /// inside of those of the app and of modules around; the first one given is the outermost.
    #[must_use]
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.defaults.wraps.push(Wrap::new(middleware));
        self
    }

    /// Adds a function marked with one of the attributes: `.register::<orders>()`.
    #[must_use]
    pub fn register<C: Component>(self) -> Self {
        self.component(C::describe())
    }

    /// Adds a component built by hand.
    #[must_use]
    pub fn component(mut self, component: impl Into<ComponentDef>) -> Self {
        self.items.push(Item::Component(Box::new(component.into())));
        self
    }

    /// Adds another module.
    #[must_use]
    pub fn include(mut self, module: Self) -> Self {
        self.items.push(Item::Module(Box::new(module)));
        self
    }
}
