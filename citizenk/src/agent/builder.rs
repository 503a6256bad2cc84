//! Collects what an agent is: what an attribute expands to, and what programs write by hand.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::StreamSpec;
use crate::extract::{Extract, Mode, Requirements};
use crate::middleware::{Middleware, Wrap};
use crate::policy::{Guarantee, Policy};
use crate::topic::describe::TopicInfo;
use crate::topic::{InputTopic, Topic};

/// Where a component is written and what its doc comment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) doc: &'static str,
}

impl Origin {
    /// Made by the attributes from `file!()`, `line!()` and the doc comment.
    #[must_use]
    pub const fn new(file: &'static str, line: u32, doc: &'static str) -> Self {
        Self { file, line, doc }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Which consumer group an agent reads in.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) enum GroupChoice {
    /// The app's.
    #[default]
    App,
    Named(String),
    /// Every worker reads every partition; nothing is committed.
    None,
}

/// One topic an agent reads, with its decoder.
pub(crate) type InputSpec<V> = InputTopic<V>;

/// Numbers that settings may override per agent (`[agents.NAME]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuning {
    pub(crate) batch_size: usize,
    pub(crate) batch_timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) timeout: Option<Duration>,
    /// Bytes of a partition that may wait; `None`: as the settings say.
    pub(crate) buffer_bytes: Option<usize>,
}

/// What an agent is, without its handler.
#[derive(Debug, Clone)]
pub(crate) struct AgentSpec {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) topics: Vec<TopicInfo>,
    pub(crate) output: Option<TopicInfo>,
    pub(crate) sends: Vec<TopicInfo>,
    pub(crate) is_batch: bool,
    pub(crate) tuning: Tuning,
    pub(crate) blocking: bool,
    pub(crate) group: GroupChoice,
    /// `None`: the app's.
    pub(crate) start_latest: Option<bool>,
    /// Names of agents whose first catch-up this one waits for.
    pub(crate) after: Vec<String>,
    pub(crate) on_decode_error: Option<Policy>,
    pub(crate) on_error: Option<Policy>,
    pub(crate) on_produce_error: Option<Policy>,
    /// `None`: the module's or the app's.
    pub(crate) guarantee: Option<Guarantee>,
    pub(crate) uses_outbox: bool,
    /// Whether it must say in `sends` where its outbox may send to.
    pub(crate) needs_sends: bool,
    pub(crate) wraps: Vec<Wrap>,
    pub(crate) stream: StreamSpec,
    pub(crate) states: Vec<crate::extract::StateRequirement>,
}

impl AgentSpec {
    pub(crate) fn component(&self) -> String {
        format!("agent `{}`", self.name)
    }

    /// `output`, `sends` and dead-letter topics; each once.
    pub(crate) fn written(&self) -> impl Iterator<Item = &TopicInfo> {
        let policies = [
            &self.on_decode_error,
            &self.on_error,
            &self.on_produce_error,
        ];
        let letters = policies
            .into_iter()
            .flatten()
            .filter_map(Policy::dead_letter_topic);
        self.output.iter().chain(&self.sends).chain(letters)
    }
}

/// Collects an agent's settings; `V` is the value type of its topics, `M` its mode.
///
/// What `#[citizenk::agent]` expands to. By hand: [`Agent::builder`](crate::Agent::builder).
pub struct AgentBuilder<V, M> {
    pub(crate) spec: AgentSpec,
    pub(crate) inputs: Vec<InputSpec<V>>,
    mode: PhantomData<fn() -> M>,
}

impl<V, M> fmt::Debug for AgentBuilder<V, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

// No bound on `V` or `M` here: a wrong input would then be reported once per method.
impl<V: 'static, M> AgentBuilder<V, M> {
    pub(crate) fn new(name: &str, origin: Origin, is_batch: bool) -> Self {
        Self {
            spec: AgentSpec {
                name: name.to_owned(),
                origin,
                topics: Vec::new(),
                output: None,
                sends: Vec::new(),
                is_batch,
                tuning: Tuning {
                    batch_size: 1,
                    batch_timeout: Duration::from_secs(10),
                    concurrency: 1,
                    timeout: None,
                    buffer_bytes: None,
                },
                blocking: false,
                group: GroupChoice::App,
                start_latest: None,
                after: Vec::new(),
                on_decode_error: None,
                on_error: None,
                on_produce_error: None,
                guarantee: None,
                uses_outbox: false,
                needs_sends: false,
                wraps: Vec::new(),
                stream: StreamSpec::default(),
                states: Vec::new(),
            },
            inputs: Vec::new(),
            mode: PhantomData,
        }
    }

    /// Reads a topic.
    #[must_use]
    pub fn topic<K: 'static>(self, topic: &Topic<V, K>) -> Self {
        self.input(InputTopic::plain(topic))
    }

    /// Reads topics whose names are known only when the program runs, all in the format of `format`.
    ///
    /// A name that begins with `^` is a regular expression: the agent reads every topic whose name on the
    /// broker matches it, also such as come later (looked for every 5 s). Topics of the broker (`__..`) never
    /// match.
    #[must_use]
    pub fn topics<K: 'static>(
        mut self,
        format: &Topic<V, K>,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        for name in names {
            self = self.topic(&format.named(name.as_ref()));
        }
        self
    }

    /// Reads a topic converted with [`Topic::as_input`].
    #[must_use]
    pub fn input(mut self, input: InputTopic<V>) -> Self {
        self.spec.topics.push(input.info.clone());
        self.inputs.push(input);
        self
    }

    /// Sends returned values to this topic.
    #[must_use]
    pub fn output<O: 'static, K: 'static>(mut self, topic: &Topic<O, K>) -> Self {
        self.spec.output = Some(TopicInfo::of(topic));
        self
    }

    /// Declares a topic the handler's outbox may send to.
    #[must_use]
    pub fn sends<O: 'static, K: 'static>(mut self, topic: &Topic<O, K>) -> Self {
        self.spec.sends.push(TopicInfo::of(topic));
        self
    }

    /// Records per batch; default 1.
    #[must_use]
    pub fn batch_size(mut self, size: usize) -> Self {
        self.spec.tuning.batch_size = size;
        self
    }

    /// How long a batch may wait for more records, from its first one; default 10 s.
    #[must_use]
    pub fn batch_timeout(mut self, timeout: Duration) -> Self {
        self.spec.tuning.batch_timeout = timeout;
        self
    }

    /// How many keys of a partition may be handled at once; default 1. Each key keeps its order.
    #[must_use]
    pub fn concurrency(mut self, keys: usize) -> Self {
        self.spec.tuning.concurrency = keys;
        self
    }

    /// How long one attempt may take; default: no limit. An attempt cut off leaves no outputs.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.tuning.timeout = Some(timeout);
        self
    }

    /// Runs the handler on a pool of blocking threads; default false.
    #[must_use]
    pub fn blocking(mut self, blocking: bool) -> Self {
        self.spec.blocking = blocking;
        self
    }

    /// Reads in this consumer group instead of the app's.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.spec.group = GroupChoice::Named(group.to_owned());
        self
    }

    /// Reads every partition on every worker, without group and without commits.
    #[must_use]
    pub fn groupless(mut self) -> Self {
        self.spec.group = GroupChoice::None;
        self
    }

    /// A new group starts at the first record (the default).
    #[must_use]
    pub fn start_earliest(mut self) -> Self {
        self.spec.start_latest = Some(false);
        self
    }

    /// A new group starts behind the last record.
    #[must_use]
    pub fn start_latest(mut self) -> Self {
        self.spec.start_latest = Some(true);
        self
    }

    /// Waits until the named agent has reached the end it saw at start.
    #[must_use]
    pub fn after_named(mut self, agent: &str) -> Self {
        self.spec.after.push(agent.to_owned());
        self
    }

    /// [`AgentBuilder::after_named`] for an agent made by the attribute.
    #[must_use]
    pub fn after<A: AgentHandle>(self) -> Self {
        self.after_named(A::NAME)
    }

    /// Puts a [middleware](crate::middleware) around each call, inside of those of the app and modules; the
    /// first one given is the outermost.
    #[must_use]
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.spec.wraps.push(Wrap::new(middleware));
        self
    }

    /// What happens to records that cannot be decoded; default `stop`.
    #[must_use]
    pub fn on_decode_error(mut self, policy: Policy) -> Self {
        self.spec.on_decode_error = Some(policy);
        self
    }

    /// What happens to records whose handling fails; default `retry(5, ..)`, then `stop`.
    #[must_use]
    pub fn on_error(mut self, policy: Policy) -> Self {
        self.spec.on_error = Some(policy);
        self
    }

    /// What happens when outputs cannot be delivered within the delivery deadline; default `stop`.
    #[must_use]
    pub fn on_produce_error(mut self, policy: Policy) -> Self {
        self.spec.on_produce_error = Some(policy);
        self
    }

    /// What is promised when something fails; default: the module's, then the app's, then
    /// [`Guarantee::AtLeastOnce`]. Agents of one group that read the same topic must agree.
    #[must_use]
    pub fn guarantee(mut self, guarantee: Guarantee) -> Self {
        self.spec.guarantee = Some(guarantee);
        self
    }
}

/// Types that `#[citizenk::agent]` adds. A name of its own, not the description's: two agents that wait
/// for each other are a build error, not an endless recursion.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an agent",
    label = "not an agent",
    note = "`after` takes functions marked `#[agent]`"
)]
pub trait AgentHandle {
    /// The agent's name.
    const NAME: &'static str;
}

impl<V: 'static, M: Mode> AgentBuilder<V, M> {
    /// Declares an argument type of the handler.
    #[must_use]
    pub fn requires<T: Extract<M>>(mut self) -> Self {
        let mut requirements = Requirements::default();
        T::requires(&mut requirements);
        self.spec.states.extend(requirements.states);
        self.spec.uses_outbox |= requirements.uses_outbox;
        self.spec.needs_sends |= requirements.uses_outbox;
        self
    }
}
