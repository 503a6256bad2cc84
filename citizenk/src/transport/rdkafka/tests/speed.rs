//! Figures, by hand: `cargo test --release -p citizenk speed -- --ignored --nocapture`.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl DeliverySink for Count {
    fn delivered(&self, _: usize, result: Result<Delivered, TransportError>) {
        assert!(result.is_ok());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
