// A middleware that holds what cannot move to another thread.
use std::rc::Rc;

use citizenk::middleware::{CallInfo, Handled, Next};
use ui_tests::*;

async fn counting(call: CallInfo, next: Next) -> citizenk::Result<Handled> {
    let count = Rc::new(call.records());
    let handled = next.run().await;
    drop(count);
    handled
}

fn main() {
    let _ = App::new("test").wrap(counting);
}
