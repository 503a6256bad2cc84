//! Agents made by a program instead of an attribute.

use std::future::Future;

use super::{AgentDef, handle};
use crate::agent::{AgentBuilder, AgentInput, Clients, IntoOutcome, IntoStream, Origin};
use crate::extract::{Extract, Outbox};

/// Makes agents by hand: what `#[citizenk::agent]` expands to, for agents whose topics or number are
/// known only when the program runs.
///
/// ```
/// use citizenk::Agent;
/// use citizenk::prelude::*;
/// use citizenk::testing::TestApp;
///
/// const IN: Topic<String> = Topic::json("in");
/// const OUT: Topic<String> = Topic::json("out");
///
/// let upper = Agent::builder::<Event<String>>("upper")
///     .topic(&IN)
///     .sends(&OUT)
///     .handle(async |event: Event<String>, out: Outbox| -> citizenk::Result<()> {
///         out.send(&OUT, &"k".to_owned(), event.value.to_uppercase())?;
///         Ok(())
///     });
/// let app = App::new("by-hand").component(upper);
/// # citizenk::testing::block_on(async {
/// let app = TestApp::new(app).start().await?;
/// app.topic(&IN).push(&"k".to_owned(), "abc".to_owned());
/// app.settle().await;
/// assert_eq!(app.topic(&OUT).sent()[0].value.as_deref(), Some("ABC"));
/// # app.stop().await }).unwrap();
/// ```
#[derive(Debug)]
pub struct Agent;

impl Agent {
    /// Starts an agent whose handler receives `In`.
    #[must_use]
    #[track_caller]
    pub fn builder<In: AgentInput>(name: &str) -> AgentBuilder<In::Value, In::Mode> {
        let caller = std::panic::Location::caller();
        AgentBuilder::new(
            name,
            Origin::new(caller.file(), caller.line(), ""),
            In::BATCH,
        )
    }
}

impl<V: Send + 'static, M: crate::extract::Mode> AgentBuilder<V, M> {
    /// Ends the agent with its handler; state is what the handler captures.
    pub fn handle<In, H, Fut, R>(self, handler: H) -> AgentDef
    where
        In: AgentInput<Value = V, Mode = M>,
        H: Fn(In, Outbox) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoOutcome<M>,
        Outbox: Extract<M>,
    {
        let mut builder = self.requires::<Outbox>();
        // Every handler made by hand gets an outbox, whether it sends or not.
        builder.spec.needs_sends = false;
        handle::<In, _, _, _, _>(
            builder,
            |_| Ok(()),
            move |(), call, input: In| {
                let future = handler(input, call.outbox());
                Ok(async move { future.await.into_verdict() })
            },
        )
    }

    /// Ends the agent with a handler whose returned values go to the clients of
    /// [`websocket`](AgentBuilder::websocket) and [`events`](AgentBuilder::events); a value that is `None`
    /// goes nowhere. Such agents usually read without a group, so that each worker's clients see all
    /// partitions.
    ///
    /// ```
    /// use citizenk::Agent;
    /// use citizenk::prelude::*;
    ///
    /// const ORDERS: Topic<String> = Topic::json("orders");
    ///
    /// let live = Agent::builder::<Event<String>>("live")
    ///     .topic(&ORDERS)
    ///     .groupless()
    ///     .start_latest()
    ///     .websocket("/orders/live")
    ///     .stream(async |order: Event<String>| order.value);
    /// App::new("shop").agent(live).check().unwrap();
    /// ```
    pub fn stream<In, H, Fut, R>(self, handler: H) -> AgentDef
    where
        In: AgentInput<Value = V, Mode = M>,
        H: Fn(In) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoStream,
        Clients: Extract<M>,
    {
        handle::<In, _, _, _, _>(
            self.streams::<R>(),
            |cx| <Clients as Extract<M>>::prepare(cx),
            move |prepared, call, input: In| {
                let clients = <Clients as Extract<M>>::extract(prepared, call)?;
                let future = handler(input);
                Ok(async move { clients.returned(future.await) })
            },
        )
    }
}
