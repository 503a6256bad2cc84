// Generated code passes what handwritten code has to pass; the handlers are in `src/strict.rs`, as only a library exports something.
use ui_tests::strict;

#[test]
fn they_register() {
    let _ = citizenk::App::new("test")
        .register::<strict::orders>()
        .register::<strict::order>()
        .register::<strict::report>()
        .include(strict::billing::module());
}
