//! What the Replicator is for, on two clusters: in memory, and on two real Kafkas where `cargo xtask real` has
//! started them; with a consumer group and without.
//!
//! A case is written once, against [`world::World`]; the table below says where it runs.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod real;
mod world;

use std::future::Future;

use world::{Broker, PATIENCE, Place};

fn on_memory<F: Future<Output = ()>>(grouped: bool, case: impl FnOnce(Place) -> F) {
    citizenk::testing::block_on(case(Place {
        broker: Broker::Memory,
        grouped,
    }));
}

fn on_real<F: Future<Output = ()>>(grouped: bool, case: impl FnOnce(Place) -> F) {
    let Some(broker) = Broker::real() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads");
    let case = case(Place { broker, grouped });
    // A case has several conditions, each of which may take its time.
    let ended = runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, case).await });
    runtime.shutdown_background();
    ended.expect("the case ends in time");
}

macro_rules! table {
    ($($module:ident: $($case:ident)*;)*) => {
        mod memory_runs {
            $($(#[test] fn $case() {
                for grouped in [false, true] {
                    super::on_memory(grouped, super::cases::$module::$case);
                }
            })*)*
        }
        mod real_runs_with_a_group {
            $($(#[test] fn $case() { super::on_real(true, super::cases::$module::$case); })*)*
        }
        mod real_runs_without_a_group {
            $($(#[test] fn $case() { super::on_real(false, super::cases::$module::$case); })*)*
        }
    };
}

/// A real broker takes its time to delete a topic: it is there again only once the old one is gone.
mod more_memory_runs {
    #[test]
    fn a_restart_into_trouble_forgets_nothing() {
        for grouped in [false, true] {
            let case = super::cases::hand_over::a_restart_into_trouble_forgets_nothing;
            super::on_memory(grouped, case);
        }
    }
}

table! {
    copies:
        topics_are_copied_as_they_are
        a_share_and_a_filter_reduce_the_load
        values_keys_and_partitions_are_mapped
        copies_are_not_copied_back
        new_partitions_of_a_source_are_read_from_their_beginning;
    hand_over:
        a_switch_hands_over_at_the_latest_record_and_leaves_others_alone
        a_restart_goes_on_where_the_group_is
        the_group_of_the_service_is_deleted_while_nobody_is_in_it
        the_group_of_the_service_is_moved_to_the_end_instead
        a_paused_mapping_goes_on_where_it_was;
    files:
        files_are_replayed_with_their_gaps
        a_replay_is_paused_and_moved
        a_topic_is_written_to_a_file_and_replayed;
    trouble:
        a_bad_file_is_said_and_the_last_good_one_goes_on
        a_partition_that_is_not_there_holds_one_mapping
        what_retention_took_is_counted;
}
