//! Avro topics in an app: framings, ids nobody knows, schemas that come late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use citizenk::App;
use citizenk::codec::KeyCodec;
use citizenk::prelude::*;
use citizenk::schema::{
    Fetched, LocalSchemas, OwnSchema, SchemaError, SchemaId, SchemaSource, SchemaText,
};
use citizenk::testing::TestApp;

use crate::{Card, Ride, bytes, ride};

// [topics]
const RIDES: Topic<Ride, u32> = Topic::avro("rides");
const SEEN: Topic<Ride, u32> = Topic::avro_single_object("seen");
const BARE: Topic<Ride, Card> = Topic::avro_bare("bare").keyed(KeyCodec::avro());
// [/topics]

#[citizenk::agent(topics = [RIDES], sends = [SEEN, BARE])]
async fn pass_on(ride: Event<Ride>, out: Outbox) -> citizenk::Result<()> {
    out.send(&SEEN, &1, ride.value.clone())?;
    let key = Card {
        number: "7".to_owned(),
    };
    out.send(&BARE, &key, ride.value.clone())?;
    Ok(())
}

#[citizenk::agent(topics = [BARE], output = SEEN)]
async fn with_key(ride: Event<Ride>, Key(card): Key<Card>) -> (u32, Ride) {
    (card.number.parse().unwrap_or_default(), ride.value.clone())
}

#[test]
fn topics_in_every_framing_go_through_an_app() {
    citizenk::testing::block_on(async {
        let app = TestApp::new(|| {
            App::new("rides")
                .register::<pass_on>()
                .register::<with_key>()
        })
        .start()
        .await?;
        app.topic(&RIDES).push(&1, ride());
        app.settle().await;
        let seen = app.topic(&SEEN).sent();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|record| record.value == Some(ride())));
        let mut keys: Vec<_> = seen.iter().map(|record| record.key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [Some(1), Some(7)]);
        let raw = app.topic(&BARE).sent_raw();
        let (Some(key), Some(value)) = &raw[0] else {
            panic!("key and value: {raw:?}");
        };
        assert_eq!(key[0], 0, "the key is framed");
        assert_eq!(*value, bytes(&ride()), "the value is bare");
        app.stop().await
    })
    .unwrap();
}

#[test]
fn a_schema_id_nobody_knows_meets_the_policy() {
    const LETTERS: Topic<RawBytes> = Topic::raw("letters");
    #[citizenk::agent(topics = [RIDES], on_decode_error = dead_letter(LETTERS))]
    async fn strict(ride: Event<Ride>) {
        drop(ride);
    }
    citizenk::testing::block_on(async {
        let app = TestApp::new(|| App::new("rides").register::<strict>())
            .start()
            .await?;
        let rides = app.topic(&RIDES);
        rides.push_raw(Some(b"1"), &[0, 0, 0, 3, 9, 1]);
        rides.push_raw(Some(b"1"), b"{}");
        rides.push_raw(Some(b"1"), &[0, 1]);
        app.settle().await;
        let letters = app.topic(&LETTERS).sent();
        let reasons: Vec<_> = letters
            .iter()
            .map(|letter| {
                letter
                    .headers
                    .text("citizenk.dead-letter.reason")
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        assert_eq!(letters.len(), 3, "{reasons:?}");
        app.stop().await
    })
    .unwrap();
}

/// A registry that cannot be asked at first.
#[derive(Debug, Default)]
struct Slow {
    known: LocalSchemas,
    asked: AtomicU32,
}

impl SchemaSource for Slow {
    fn cached(&self, id: SchemaId) -> Option<Arc<SchemaText>> {
        (self.asked.load(Ordering::Relaxed) > 2)
            .then(|| self.known.cached(id))
            .flatten()
    }

    fn fetch(&self, id: SchemaId) -> Fetched<'_> {
        let found = match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => Err(SchemaError::Unavailable {
                id,
                place: "the registry".to_owned(),
                reason: "it sleeps".to_owned(),
            }),
            _ => Ok(self.known.cached(id).unwrap()),
        };
        Box::pin(std::future::ready(found))
    }

    fn id_of(&self, own: &OwnSchema) -> Option<u32> {
        self.known.id_of(own)
    }
}

#[test]
fn a_record_waits_for_its_schema_and_nothing_is_passed_over() {
    const NUMBERS: Topic<Card, u32> = Topic::avro("numbers");
    const DONE: Topic<Card, u32> = Topic::json("done");
    #[citizenk::agent(topics = [NUMBERS], output = DONE)]
    async fn number(card: Event<Card>) -> Card {
        card.value.clone()
    }
    #[citizenk::agent(topics = [NUMBERS], sends = [DONE], batch_size = 2, group = "batches")]
    async fn numbers(cards: Batch<Card>, out: Outbox) -> citizenk::Result<()> {
        for card in cards {
            out.send(&DONE, &0, card)?;
        }
        Ok(())
    }
    citizenk::testing::block_on(async {
        let slow = Arc::new(Slow::default());
        let app = TestApp::new(|| App::new("n").register::<number>().register::<numbers>())
            .partitions(&NUMBERS, 1)
            .schemas(slow.clone())
            .start()
            .await?;
        for number in 0..4 {
            let number = number.to_string();
            app.topic(&NUMBERS).push(&1, Card { number });
        }
        app.settle().await;
        assert!(
            app.topic(&DONE).sent().is_empty(),
            "the schema is not known"
        );
        app.advance("2s").await;
        app.settle().await;
        let mut done: Vec<_> = app
            .topic(&DONE)
            .sent()
            .into_iter()
            .map(|record| record.value.unwrap().number)
            .collect();
        done.sort();
        assert_eq!(done, ["0", "0", "1", "1", "2", "2", "3", "3"]);
        app.stop().await
    })
    .unwrap();
}
