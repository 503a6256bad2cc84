// At start there are no partitions yet.
use ui_tests::*;

#[citizenk::on_event(startup)]
async fn warm_up(partitions: Partitions) {
    drop(partitions);
}

fn main() {}
