//! Arguments of `#[agent]`.
//!
//! In: the attribute's tokens. Out: [`AgentArgs`]; nothing here knows the function.

use proc_macro2::Ident;
use syn::{LitStr, Path};

use super::keys::{Args, Common, FUNCTION_KEYS, Key, Table};
use super::policy::{self, Policy};
use super::route;
use super::slot::Slot;
use super::stream::{self, SlowClient};
use super::value::{self, Group, Guarantee, List, Millis, Number, Start, TopicInput};

#[derive(Default)]
pub(crate) struct AgentArgs {
    pub(crate) topics: Slot<List<TopicInput>>,
    pub(crate) batch_size: Slot<Number>,
    pub(crate) batch_timeout: Slot<Millis>,
    pub(crate) output: Slot<Path>,
    pub(crate) sends: Slot<List<Path>>,
    pub(crate) on_decode_error: Slot<Policy>,
    pub(crate) on_error: Slot<Policy>,
    pub(crate) on_produce_error: Slot<Policy>,
    pub(crate) guarantee: Slot<Guarantee>,
    pub(crate) timeout: Slot<Millis>,
    pub(crate) concurrency: Slot<Number>,
    pub(crate) blocking: Slot<bool>,
    pub(crate) group: Slot<Group>,
    pub(crate) start: Slot<Start>,
    pub(crate) after: Slot<List<Path>>,
    pub(crate) wrap: Slot<List<Path>>,
    pub(crate) websocket: Slot<LitStr>,
    pub(crate) events: Slot<LitStr>,
    pub(crate) filter: Slot<Path>,
    pub(crate) slow_client: Slot<SlowClient>,
    pub(crate) common: Common,
}

impl AgentArgs {
    /// The type to register, when it is not named as the function.
    pub(crate) fn handle(&self) -> Option<&Ident> {
        self.common.handle.value()
    }
}

impl Args for AgentArgs {
    const TABLE: Table<Self> = Table {
        attribute: "agent",
        positional: None,
        keys: KEYS,
        common: FUNCTION_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

const KEYS: &[Key<AgentArgs>] = &[
    Key {
        name: "topics",
        example: "topics = [ORDERS]",
        doc: "the topics to read; one of another type as `REFUNDS.as_input::<T>()`; required",
        read: |args, entry| entry.read(&mut args.topics, value::topics),
    },
    Key {
        name: "batch_size",
        example: "batch_size = 100",
        doc: "records per batch; default 1",
        read: |args, entry| entry.read(&mut args.batch_size, value::count),
    },
    Key {
        name: "batch_timeout",
        example: r#"batch_timeout = "200ms""#,
        doc: "how long a batch may wait for more records, from its first one; default 10 s",
        read: |args, entry| entry.read(&mut args.batch_timeout, value::millis),
    },
    Key {
        name: "output",
        example: "output = ALERTS",
        doc: "the topic of returned values",
        read: |args, entry| entry.read(&mut args.output, value::topic),
    },
    Key {
        name: "sends",
        example: "sends = [ALERTS]",
        doc: "the topics the `Outbox` may send to",
        read: |args, entry| entry.read(&mut args.sends, value::paths),
    },
    Key {
        name: "on_decode_error",
        example: "on_decode_error = dead_letter(ORDERS_DLQ)",
        doc: "what happens to records that cannot be decoded: `skip`, `dead_letter(TOPIC)` or `stop`; default `stop`",
        read: |args, entry| entry.read(&mut args.on_decode_error, policy::decode_policy),
    },
    Key {
        name: "on_error",
        example: r#"on_error = retry(5, backoff = "100ms..10s", then = dead_letter(ORDERS_DLQ))"#,
        doc: "what happens to records whose handling fails: `retry(..)`, `retry_topics(..)`, `skip`, `dead_letter(TOPIC)` or `stop`; default `retry(5)`",
        read: |args, entry| entry.read(&mut args.on_error, policy::policy),
    },
    Key {
        name: "on_produce_error",
        example: "on_produce_error = stop",
        doc: "what happens when outputs cannot be delivered within the delivery deadline; default `stop`",
        read: |args, entry| entry.read(&mut args.on_produce_error, policy::produce_policy),
    },
    Key {
        name: "guarantee",
        example: "guarantee = exactly_once",
        doc: "what is promised when something fails: `at_least_once` or `exactly_once`; default: the module's, then the app's",
        read: |args, entry| entry.read(&mut args.guarantee, value::guarantee),
    },
    Key {
        name: "timeout",
        example: r#"timeout = "20s""#,
        doc: "how long one attempt may take; default: no limit",
        read: |args, entry| entry.read(&mut args.timeout, value::millis),
    },
    Key {
        name: "concurrency",
        example: "concurrency = 8",
        doc: "how many keys of a partition may be handled at once; default 1",
        read: |args, entry| entry.read(&mut args.concurrency, value::count),
    },
    Key {
        name: "blocking",
        example: "blocking = true",
        doc: "runs the handler on a pool of blocking threads; default false",
        read: |args, entry| entry.read(&mut args.blocking, value::flag),
    },
    Key {
        name: "group",
        example: r#"group = "audit""#,
        doc: "a consumer group of its own, or `none`: every worker reads every partition, nothing is committed; default: the app's",
        read: |args, entry| entry.read(&mut args.group, value::group),
    },
    Key {
        name: "start",
        example: "start = latest",
        doc: "where a new group starts: `earliest` or `latest`; default `earliest`",
        read: |args, entry| entry.read(&mut args.start, value::start),
    },
    Key {
        name: "after",
        example: "after = [cache]",
        doc: "agents that first reach the end they saw at start",
        read: |args, entry| entry.read(&mut args.after, value::paths),
    },
    Key {
        name: "wrap",
        example: "wrap = timing",
        doc: "middleware around each call, the outermost first; several: `[timing, tenants]`",
        read: |args, entry| entry.read(&mut args.wrap, value::middlewares),
    },
    Key {
        name: "websocket",
        example: r#"websocket = "/ws""#,
        doc: "a path where each returned value is sent to every websocket; the agent then reads without a group, from now on, unless told otherwise",
        read: |args, entry| entry.read(&mut args.websocket, route::path),
    },
    Key {
        name: "events",
        example: r#"events = "/events""#,
        doc: "the same as an event stream (SSE)",
        read: |args, entry| entry.read(&mut args.events, route::path),
    },
    Key {
        name: "filter",
        example: "filter = of_camera",
        doc: "a `fn(&V, &Q) -> bool`: whether a value is for a client, whose query string is read as `Q`",
        read: |args, entry| entry.read(&mut args.filter, stream::filter),
    },
    Key {
        name: "slow_client",
        example: "slow_client = drop_oldest(100)",
        doc: "what happens to clients that fall behind: `drop_oldest(N)`, `coalesce` (the newest value of each key) or `disconnect`; default `drop_oldest(1024)`",
        read: |args, entry| entry.read(&mut args.slow_client, stream::slow_client),
    },
];
