//! `cargo run -p geo-stream`: see the [library](geo_stream).

fn main() -> citizenk::Exit {
    citizenk::run(geo_stream::app())
}
