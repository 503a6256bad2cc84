//! One worker: see the [library](cluster).

fn main() -> citizenk::Exit {
    citizenk::run(cluster::app())
}
