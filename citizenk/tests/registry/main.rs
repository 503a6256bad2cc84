//! One suite for every registry: the one inside this process, and the real one that `cargo xtask real` has started.
//!
//! A case is written once, against a [`Registry`]; the table below runs it. Subjects are new in each run, so that a
//! registry that keeps its data may be used again. What differs between registries is asked for, not assumed: where
//! there are no rules of compatibility (the one in this process has none) the cases about them say so and end.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod cases;

use std::future::Future;
use std::time::{Duration, SystemTime};

use citizenk::registry::{EmbeddedRegistry, Registry};

/// A registry, and names nobody else uses.
struct World {
    registry: Registry,
    url: String,
    run: String,
}

impl World {
    /// A subject of this case and run.
    fn subject(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }

    /// A record type of this case and run: ids belong to contents, so contents differ too.
    fn record(&self, fields: &str) -> String {
        format!(
            r#"{{"type":"record","name":"R_{}","fields":[{fields}]}}"#,
            self.run.replace('-', "_")
        )
    }

    /// Whether there are rules of compatibility; sets them where there are.
    async fn has_rules(&self, subject: &str) -> bool {
        match self
            .registry
            .set_compatibility_rule(Some(subject), "BACKWARD")
            .await
        {
            Ok(()) => true,
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("its only rule is NONE"), "{said}");
                false
            }
        }
    }
}

fn in_time<F: Future<Output = ()>>(case: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended =
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), case).await });
    ended.expect("the case ends in time");
}

fn run(name: &str) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    format!("{name}-{}", now.as_nanos())
}

fn on_embedded<F: Future<Output = ()>>(name: &str, case: impl FnOnce(World) -> F) {
    in_time(async {
        let embedded = EmbeddedRegistry::start().await.expect("a port");
        let registry = Registry::builder(embedded.url()).build().expect("a URL");
        case(World {
            registry,
            url: embedded.url().to_owned(),
            run: run(name),
        })
        .await;
    });
}

fn on_real<F: Future<Output = ()>>(name: &str, case: impl FnOnce(World) -> F) {
    let Ok(url) = std::env::var("CITIZENK_REAL_REGISTRY") else {
        return;
    };
    // A Java that has just started may need longer than the client waits by default.
    let registry = Registry::builder(&url).timeout(Duration::from_secs(30));
    in_time(case(World {
        registry: registry.build().expect("xtask sets the URL"),
        url,
        run: run(name),
    }));
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[test] fn $case() { super::on_embedded(stringify!($case), super::cases::$case); })*
        }
        /// Left out where `cargo xtask real` has not started one.
        mod real_runs {
            $(#[test] fn $case() { super::on_real(stringify!($case), super::cases::$case); })*
        }
    };
}

cases!(
    a_schema_gets_an_id_and_is_found_by_it,
    the_same_schema_is_registered_once,
    one_schema_has_one_id_in_all_subjects,
    versions_are_counted_within_a_subject,
    what_is_not_there_is_said,
    a_schema_is_looked_up_by_its_content,
    json_schemas_are_kept_as_such,
    references_are_kept_and_come_with_the_schema,
    what_is_no_schema_is_refused,
    a_reference_to_nothing_is_refused,
    subjects_may_have_any_name,
    subjects_are_listed,
    an_incompatible_schema_is_refused_with_the_field,
    an_incompatible_json_schema_is_refused,
    a_compatible_schema_becomes_the_next_version,
    nothing_stands_against_the_first_schema,
    another_path_is_no_registry,
    ids_are_fetched_once,
);
