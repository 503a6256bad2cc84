// Only handles are components.
use ui_tests::*;

fn main() {
    let _ = App::new("test").register::<String>();
}
