// Only an annotated function has a handle.
use ui_tests::*;

async fn helper() {}

fn main() {
    let _ = App::new("test").register::<helper>();
}
