// Topics are constants here too.
use ui_tests::*;

#[citizenk::on_event(startup, sends = ["alerts"])]
async fn starting(out: Outbox) {
    drop(out);
}

fn main() {
    let _ = App::new("test").register::<starting>();
}
