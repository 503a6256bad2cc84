//! `cargo run --release -p demo`: see the [library](demo).

fn main() -> citizenk::Exit {
    citizenk::run(demo::app())
}
