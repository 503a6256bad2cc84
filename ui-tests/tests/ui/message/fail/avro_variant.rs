// What a variant holds is an Avro message, and so are its fields.
use ui_tests::*;

#[citizenk::message(avro)]
enum Change {
    Placed(Order),
    Moved { by: i128 },
}

const CHANGES: Topic<Change> = Topic::avro("changes");

fn main() {
    println!("{CHANGES:?}");
}
