//! `cargo run -p bridge`: see the [library](bridge).

fn main() -> citizenk::Exit {
    citizenk::run(bridge::app())
}
