//! The runtime and the clock of tests.

use std::future::Future;
use std::time::Duration;

/// Runs a test on a current-thread runtime with a paused clock, as `#[tokio::test(start_paused = true)]`
/// does, for crates that do not depend on tokio.
///
/// # Panics
/// When the runtime cannot be made.
pub fn block_on<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(test),
        Err(error) => panic!("cannot start the test's runtime: {error}"),
    }
}

/// Pauses tokio's clock unless it is paused already, which tokio itself cannot be asked.
pub(super) fn pause_clock() {
    let before = tokio::time::Instant::now();
    let real = std::time::Instant::now();
    while real.elapsed() < Duration::from_micros(50) {
        std::hint::spin_loop();
    }
    if tokio::time::Instant::now() != before {
        tokio::time::pause();
    }
}
