//! The orderly end: revoke, drain, commit, leave; within a time, whatever the broker does.

use std::time::{Duration, Instant};

use rdkafka::bindings as rd;

use super::super::client::Mail;
use super::super::error;
use super::poll::Poller;

/// Slices of waiting, so that the deadline is kept when nothing comes at all.
const SLICE: Duration = Duration::from_millis(100);

impl Poller {
    pub(super) fn close(&mut self, leave: Duration) {
        self.drain = self.last_drain;
        let closed = if self.core.group {
            self.leave_group(leave)
        } else {
            let all = self.core.slots.ids();
            if !all.is_empty() {
                self.give_back(&all, false);
            }
            for id in &all {
                self.core.stop_partition(id);
            }
            self.core.topics.clear();
            true
        };
        if !closed {
            tracing::warn!(
                consumer = self.core.name,
                "the group was not left in time; the broker will notice by its session timeout"
            );
            self.core.client.abandon();
        }
        self.events.closed();
    }

    /// Answers whether the consumer has closed.
    fn leave_group(&mut self, leave: Duration) -> bool {
        let rk = self.core.client.rk();
        // SAFETY: client and queue are alive; a returned error is taken. The consumer's own queue is
        // the one that is polled on.
        let started = unsafe {
            error::take(
                rd::rd_kafka_consumer_close_queue(rk, self.core.client.queue()),
                || format!("consumer `{}` closing", self.core.name),
            )
        };
        if let Err((_, error)) = started {
            // A fatal error: the group is gone for this client, and its partitions with it.
            tracing::warn!(%error, "closing without leaving the group");
            self.revoke_rest(true);
            return false;
        }
        let mut deadline = Instant::now() + leave;
        loop {
            // What comes now is nobody's: its partitions are about to be taken.
            let before = Instant::now();
            self.serve_close();
            // SAFETY: the client is alive.
            if unsafe { rd::rd_kafka_consumer_closed(rk) } != 0 {
                self.revoke_rest(true);
                return true;
            }
            // Draining has a time of its own.
            let spent = before.elapsed();
            if spent > SLICE * 2 {
                deadline += spent;
            }
            if Instant::now() >= deadline {
                self.revoke_rest(false);
                return false;
            }
        }
    }

    fn serve_close(&mut self) {
        let mut message = std::ptr::null_mut();
        // SAFETY: the queue is alive, there is room for one message, which is destroyed at once.
        unsafe {
            let queue = self.core.client.queue();
            let wait = super::super::conf::millis(SLICE);
            if rd::rd_kafka_consume_batch_queue(queue, wait, &raw mut message, 1) > 0 {
                rd::rd_kafka_message_destroy(message);
            }
        }
        for item in self.core.client.take_mail() {
            match item {
                Mail::Rebalance(code, partitions) => self.rebalance(code, &partitions),
                Mail::Committed(offsets, result) => self.events.committed(&offsets, result),
                Mail::Error(error) => self.events.error(error),
                Mail::Statistics(json) => self.events.statistics(&json),
                Mail::Ends(ends) => self.events.ends(&ends),
            }
        }
    }

    /// Partitions that no rebalance took are given up all the same, so that nothing waits for them.
    fn revoke_rest(&mut self, lost: bool) {
        let rest = self.core.slots.ids();
        if !rest.is_empty() {
            self.give_back(&rest, lost);
        }
    }
}
