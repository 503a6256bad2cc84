//! The same cases on every broker citizenk runs on: the in-memory log of `TestApp`, the broker inside this
//! process, and a real Kafka (where `cargo xtask real` has started one).
//!
//! A case is written once, against [`world::World`]; the table below says where it runs. What only one of
//! them can show has tests of its own: faults and the paused clock in `policies.rs`, `lanes.rs` and `timers.rs`, load in `real.rs`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod cases;
mod kafka;
mod memory;
mod world;

use std::future::Future;
use std::time::SystemTime;

use world::{Broker, PATIENCE};

/// Topics of a case that needs many.
const MANY: [&str; 20] = [
    "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11", "t12", "t13", "t14",
    "t15", "t16", "t17", "t18", "t19",
];

/// The program's name of a topic, for those who need it for ever.
fn name_of(topic: &str) -> &'static str {
    let names = ["orders", "refunds", "done", "letters", "cache"];
    names
        .into_iter()
        .chain(MANY)
        .find(|name| *name == topic)
        .expect("a topic of the cases")
}

fn on_memory<F: Future<Output = ()>>(case: impl FnOnce(Broker) -> F) {
    citizenk::testing::block_on(case(Broker::Memory));
}

fn in_real_time<F: Future<Output = ()>>(case: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads");
    // Two conditions may each take their whole time.
    let ended = runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, case).await });
    runtime.shutdown_background();
    ended.expect("the case ends in time");
}

fn on_embedded<F: Future<Output = ()>>(case: impl FnOnce(Broker) -> F) {
    in_real_time(case(Broker::Embedded));
}

fn on_real<F: Future<Output = ()>>(name: &str, case: impl FnOnce(Broker) -> F) {
    on_real_with(&[], name, case);
}

/// KIP-848, where the broker deals the partitions.
fn on_newer<F: Future<Output = ()>>(name: &str, case: impl FnOnce(Broker) -> F) {
    on_real_with(&["group.protocol=consumer"], &format!("newer-{name}"), case);
}

fn on_real_with<F: Future<Output = ()>>(
    consumer: &'static [&'static str],
    name: &str,
    case: impl FnOnce(Broker) -> F,
) {
    if std::env::var_os("CITIZENK_REAL_KAFKA").is_none() {
        return;
    }
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").expect("xtask sets the address");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let run = format!("{name}-{}", now.as_nanos());
    in_real_time(case(Broker::Real {
        servers,
        run,
        consumer,
    }));
}

macro_rules! table {
    ($($module:ident: $($case:ident)*;)*) => {
        mod memory_runs {
            $($(#[test] fn $case() { super::on_memory(super::cases::$module::$case); })*)*
        }
        mod embedded_runs {
            $($(#[test] fn $case() { super::on_embedded(super::cases::$module::$case); })*)*
        }
        mod real_runs {
            $($(#[test] fn $case() { super::on_real(stringify!($case), super::cases::$module::$case); })*)*
        }
    };
}

// Each case: memory, embedded, real. A case that one of them cannot run would get a row of its own.
table! {
    records:
        a_record_keeps_key_headers_and_timestamp
        tombstones_reach_those_who_admit_them
        topics_of_several_types_feed_one_agent
        a_large_record_passes
        a_producer_answers_where_the_record_stands;
    lanes:
        an_offset_waits_for_every_agent_of_the_topic
        a_full_batch_goes_at_once
        a_batch_goes_when_its_time_is_over
        keys_keep_their_order_while_others_overtake
        a_batch_without_outputs_is_settled;
    policies:
        tries_end_in_a_dead_letter
        a_skip_is_counted
        a_stop_names_agent_and_record
        an_undecodable_record_stops_the_service
        an_undecodable_record_is_skipped
        an_undecodable_record_becomes_a_dead_letter
        each_record_of_a_batch_has_its_outcome
        a_failing_batch_is_tried_record_by_record
        a_timeout_drops_the_attempt_and_its_outputs
        a_panic_is_an_error
        a_wish_wins_over_the_policy;
    outputs:
        returned_values_of_every_shape_are_sent
        an_outbox_sends_what_it_is_told
        an_undeclared_topic_is_named;
    groups:
        a_new_group_starts_at_the_beginning
        a_new_group_may_start_at_the_end
        a_restart_goes_on_at_the_commit
        a_group_of_its_own_commits_for_itself
        a_cache_is_full_before_those_after_it_run
        a_cache_that_ends_with_the_mark_of_a_transaction_is_full
        two_workers_share_and_one_takes_over;
    dynamic:
        a_start_and_a_stop_leave_another_agent_alone
        many_starts_are_one_rebalance
        a_paused_agent_goes_on_where_it_is_told
        an_agent_without_a_group_comes_and_goes
        a_topic_of_another_agent_is_joined_where_the_group_is
        raw_records_are_passed_on_as_they_came;
    reading:
        everything_up_to_the_end_is_read
        the_newest_records_are_read
        a_range_of_offsets_is_read
        a_span_of_time_is_read_where_the_broker_knows_times
        values_tombstones_and_bytes_are_read
        a_follower_sees_what_comes
        what_is_not_there_is_named
        a_reader_is_no_member_of_any_group;
}

/// What only some of them can show: offsets by time (not the embedded broker), assignors (not the in-memory
/// log).
mod more_runs {
    use super::cases::dynamic;

    #[test]
    fn a_paused_agent_goes_on_from_a_time() {
        super::on_memory(dynamic::a_paused_agent_goes_on_from_a_time);
    }

    #[test]
    fn a_group_that_rebalances_eagerly_is_left_alone() {
        super::on_embedded(dynamic::a_group_that_rebalances_eagerly_is_left_alone);
    }
}

/// The broker refuses what it is sent, as it is told.
mod refusal_runs {
    use super::cases::refusals;

    #[test]
    fn refused_outputs_hold_their_offset_whatever_the_reason() {
        super::in_real_time(refusals::refused_outputs_hold_their_offset_whatever_the_reason());
    }

    #[test]
    fn a_policy_may_let_refused_outputs_go() {
        super::in_real_time(refusals::a_policy_may_let_refused_outputs_go());
    }

    #[test]
    fn a_dead_letter_that_is_refused_holds_its_offset() {
        super::in_real_time(refusals::a_dead_letter_that_is_refused_holds_its_offset());
    }

    #[test]
    fn a_refusal_that_stops_commits_nothing_behind_it() {
        super::in_real_time(refusals::a_refusal_that_stops_commits_nothing_behind_it());
    }
}

/// What a change of subscription or of members does depends on the protocol of the group.
mod newer_real_runs {
    use super::cases::{dynamic, groups};
    use super::on_newer;

    #[test]
    fn a_start_and_a_stop_leave_another_agent_alone() {
        on_newer(
            "alone",
            dynamic::a_start_and_a_stop_leave_another_agent_alone,
        );
    }

    #[test]
    fn many_starts_are_one_rebalance() {
        on_newer("many", dynamic::many_starts_are_one_rebalance);
    }

    #[test]
    fn a_paused_agent_goes_on_where_it_is_told() {
        on_newer("paused", dynamic::a_paused_agent_goes_on_where_it_is_told);
    }

    #[test]
    fn a_topic_of_another_agent_is_joined_where_the_group_is() {
        on_newer(
            "joined",
            dynamic::a_topic_of_another_agent_is_joined_where_the_group_is,
        );
    }

    #[test]
    fn two_workers_share_and_one_takes_over() {
        on_newer("shared", groups::two_workers_share_and_one_takes_over);
    }

    #[test]
    fn a_restart_goes_on_at_the_commit() {
        on_newer("restart", groups::a_restart_goes_on_at_the_commit);
    }
}

mod more_real_runs {
    use super::cases::dynamic;

    #[test]
    fn a_paused_agent_goes_on_from_a_time() {
        super::on_real("from_a_time", dynamic::a_paused_agent_goes_on_from_a_time);
    }

    #[test]
    fn a_group_that_rebalances_eagerly_is_left_alone() {
        super::on_real(
            "eager",
            dynamic::a_group_that_rebalances_eagerly_is_left_alone,
        );
    }
}
