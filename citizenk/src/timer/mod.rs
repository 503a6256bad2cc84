//! Functions called by the clock.
//!
//! In: a schedule and a task. Out: calls, on every worker or on one. A tick that is due while the last
//! call still runs is skipped and counted.

mod run;

pub(crate) use run::RunningTimer;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::agent::Origin;
use crate::error::{AgentError, BuildIssue};
use crate::extract::{Call, Extract, PrepareContext, Tick};
use crate::middleware::Middleware;
use crate::runtime::task::{self, TaskDef, TaskSpec};
use crate::topic::Topic;
use crate::topic::describe::TopicInfo;

/// When a timer is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At fixed intervals.
    Every(Duration),
    /// As a cron expression says, in a time zone.
    Cron {
        /// Five or six fields.
        expression: &'static str,
        /// An IANA name; UTC when `None`.
        zone: Option<&'static str>,
    },
}

impl Schedule {
    /// At fixed intervals.
    #[must_use]
    pub const fn every(interval: Duration) -> Self {
        Self::Every(interval)
    }

    /// As a cron expression says.
    #[must_use]
    pub const fn cron(expression: &'static str, zone: Option<&'static str>) -> Self {
        Self::Cron { expression, zone }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => write!(f, "every {interval:?}"),
            Self::Cron { expression, zone } => {
                write!(f, "cron {expression} {}", zone.unwrap_or("UTC"))
            }
        }
    }
}

/// Which workers run a timer.
#[derive(Clone, Debug, Default)]
pub(crate) enum Placement {
    #[default]
    Every,
    /// The worker that owns partition 0 of the app's first topic.
    One,
    /// The worker that owns partition 0 of this topic.
    Owner(Box<TopicInfo>),
}

/// A timer: when and what.
#[derive(Clone, Debug)]
pub struct TimerDef {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) schedule: Schedule,
    pub(crate) wait_first: bool,
    pub(crate) max_repetitions: Option<u64>,
    pub(crate) stop_on_error: bool,
    pub(crate) placement: Placement,
    pub(crate) task: TaskDef,
}

/// Collects a timer's settings; what `#[repeat_every]` and `#[repeat_at]` expand to.
#[derive(Debug)]
pub struct TimerBuilder {
    name: String,
    origin: Origin,
    schedule: Schedule,
    wait_first: bool,
    max_repetitions: Option<u64>,
    stop_on_error: bool,
    placement: Placement,
    task: TaskSpec,
}

/// Starts a timer.
#[must_use]
pub fn timer(name: &str, origin: Origin, schedule: Schedule) -> TimerBuilder {
    TimerBuilder {
        name: name.to_owned(),
        origin,
        schedule,
        wait_first: false,
        max_repetitions: None,
        stop_on_error: false,
        placement: Placement::Every,
        task: TaskSpec::default(),
    }
}

impl TimerBuilder {
    /// Waits one interval before the first call; default: the first call is at start.
    #[must_use]
    pub fn wait_first(mut self, wait: bool) -> Self {
        self.wait_first = wait;
        self
    }

    /// Ends after this many calls.
    #[must_use]
    pub fn max_repetitions(mut self, count: u64) -> Self {
        self.max_repetitions = Some(count);
        self
    }

    /// An error stops the service; default: it is logged and counted.
    #[must_use]
    pub fn stop_on_error(mut self) -> Self {
        self.stop_on_error = true;
        self
    }

    /// Runs only on the worker that owns partition 0 of the app's first topic.
    #[must_use]
    pub fn on_one(mut self) -> Self {
        self.placement = Placement::One;
        self
    }

    /// Runs only on the worker that owns partition 0 of this topic.
    #[must_use]
    pub fn on_owner<V: 'static, K: 'static>(mut self, topic: &Topic<V, K>) -> Self {
        self.placement = Placement::Owner(Box::new(TopicInfo::of(topic)));
        self
    }

    /// Declares a topic the function's outbox may send to.
    #[must_use]
    pub fn sends<V: 'static, K: 'static>(mut self, topic: &Topic<V, K>) -> Self {
        self.task.send_to(topic);
        self
    }

    /// Puts a [middleware](crate::middleware) around each call, inside of those of the app and modules; the
    /// first one given is the outermost.
    #[must_use]
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.task.wrap(middleware);
        self
    }

    /// Declares an argument type of the function.
    #[must_use]
    pub fn requires<T: Extract<Tick>>(mut self) -> Self {
        self.task.require::<Tick, T>();
        self
    }
}

/// Joins a timer's settings and its function.
pub fn timer_handle<P, F, H, Fut>(builder: TimerBuilder, prepare: F, handler: H) -> TimerDef
where
    P: Send + Sync + 'static,
    F: Fn(&PrepareContext<'_>) -> Result<P, BuildIssue> + Send + Sync + 'static,
    H: Fn(&P, &Call<'_, Tick>) -> Result<Fut, AgentError> + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    let TimerBuilder {
        name,
        origin,
        schedule,
        wait_first,
        max_repetitions,
        stop_on_error,
        placement,
        task,
    } = builder;
    let task = task::task(task, prepare, handler);
    TimerDef {
        name,
        origin,
        schedule,
        wait_first,
        max_repetitions,
        stop_on_error,
        placement,
        task,
    }
}
