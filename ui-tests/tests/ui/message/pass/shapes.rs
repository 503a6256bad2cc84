// Structs, tuples, tagged enums, type parameters, other derives and serde's attributes.
use ui_tests::*;

#[citizenk::message]
#[derive(Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Change {
    Ordered { id: u32 },
    Refunded { id: u32, amount: Option<u64> },
}

#[citizenk::message]
struct Meters(f64);

#[citizenk::message]
struct Nothing;

#[citizenk::message]
#[serde(deny_unknown_fields)]
struct Envelope<T, const N: usize = 1>
where
    T: Clone,
{
    #[serde(rename = "c")]
    content: T,
    at: Option<DateTime<Utc>>,
}

const CHANGES: Topic<Change, u32> = Topic::json("changes");
const METERS: Topic<Meters> = Topic::json("meters");
const NOTHING: Topic<Nothing> = Topic::json("nothing");
const ENVELOPES: Topic<Envelope<Change>> = Topic::json("envelopes");

#[citizenk::agent(topics = [CHANGES])]
async fn changes(change: Event<Change>) {
    drop(change);
}

#[citizenk::agent(topics = [ENVELOPES], batch_size = 2)]
async fn envelopes(envelopes: Batch<Envelope<Change>>) {
    drop(envelopes);
}

#[test]
fn they_are_messages() {
    let _ = App::new("test")
        .register::<changes>()
        .register::<envelopes>();
    assert_eq!((METERS.name(), NOTHING.name()), ("meters", "nothing"));
    let _ = (Meters(1.0).0, Nothing);
    let change = Change::Refunded {
        id: 1,
        amount: None,
    };
    assert_ne!(change, Change::Ordered { id: 1 });
    let envelope = Envelope::<_, 2> {
        content: change,
        at: None,
    };
    let _ = (&envelope.content, envelope.at);
}
