//! `cargo run --release -p replicator`: see the [library](replicator).

fn main() -> citizenk::Exit {
    replicator::run()
}
