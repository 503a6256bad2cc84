//! Calls timers when they are due.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Schedule, TimerDef};
use crate::extract::Env;
use crate::runtime::supervisor::Supervisor;
use crate::runtime::task::PreparedTask;
use crate::telemetry::{TickResult, TimerMetrics};
use crate::time;

/// A wait is cut into pieces of this length, so that a changed wall clock is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A timer of a running app.
pub(crate) struct RunningTimer {
    pub(crate) def: TimerDef,
    pub(crate) schedule: time::Schedule,
    pub(crate) task: PreparedTask,
    pub(crate) env: Env,
    pub(crate) supervisor: Supervisor,
    /// Whether this worker runs the timer now.
    pub(crate) placed_here: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) metrics: TimerMetrics,
}

type Running = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl RunningTimer {
    /// Runs until the service stops or the repetitions are used up. A call that runs when the service
    /// stops is waited for.
    pub(crate) async fn run(self) {
        let now = self.env.clock.now();
        let at_once = !self.def.wait_first && matches!(self.def.schedule, Schedule::Every(_));
        let mut due = if at_once {
            Some(now)
        } else {
            self.schedule.next_after(now)
        };
        let mut running: Option<Running> = None;
        let mut calls = 0;
        while let Some(next) = due {
            if self.def.max_repetitions.is_some_and(|most| calls >= most) {
                break;
            }
            tokio::select! {
                biased;
                () = self.env.shutdown.wait() => break,
                result = ended(&mut running) => {
                    running = None;
                    if !self.report(result) {
                        return;
                    }
                }
                () = self.until(next) => {
                    if (self.placed_here)() {
                        if running.is_some() {
                            self.metrics.ticked(TickResult::Skipped);
                            tracing::warn!(timer = self.def.name, "due while the last call still runs; skipped");
                        } else {
                            calls += 1;
                            running = Some(Box::pin(self.task.call(None)));
                        }
                    }
                    due = self.schedule.next_after(self.env.clock.now().max(next));
                }
            }
        }
        if running.is_some() {
            let result = ended(&mut running).await;
            self.report(result);
        }
    }

    async fn until(&self, due: DateTime<Utc>) {
        loop {
            let left = (due - self.env.clock.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
        }
    }

    /// Answers whether the timer goes on.
    fn report(&self, result: Result<(), String>) -> bool {
        let Err(error) = result else {
            self.metrics.ticked(TickResult::Ok);
            return true;
        };
        self.metrics.ticked(TickResult::Failed);
        if self.def.stop_on_error {
            self.supervisor.stop(&self.task.component, &error);
            return false;
        }
        tracing::error!(timer = self.def.name, error, "failed");
        true
    }
}

async fn ended(running: &mut Option<Running>) -> Result<(), String> {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}
