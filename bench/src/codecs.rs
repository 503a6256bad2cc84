//! What a topic's format costs beside the crate that makes its bytes.
//!
//! A taxi ride of twelve fields, again and again on one thread, in turns; the fastest turn of each counts,
//! because a machine that does other things beside makes the others slower.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use citizenk::Topic;
use citizenk::avro::AvroCodec;
use citizenk::testing::TopicCodec;
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::ser::SerializerConfig;

use crate::allocations;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Values per turn
    #[arg(long, default_value_t = 200_000)]
    records: u32,
    /// Turns of each
    #[arg(long, default_value_t = 7)]
    rounds: u32,
}

#[citizenk::message(avro(namespace = "bench"))]
#[derive(Clone)]
struct Ride {
    vendor: i32,
    pickup: i64,
    dropoff: i64,
    passengers: i32,
    distance: f64,
    rate: String,
    stored: bool,
    from: String,
    to: String,
    payment: String,
    fare: f64,
    note: Option<String>,
}

/// The same for the bare crates: plain serde.
#[derive(Serialize, Deserialize)]
struct Plain {
    vendor: i32,
    pickup: i64,
    dropoff: i64,
    passengers: i32,
    distance: f64,
    rate: String,
    stored: bool,
    from: String,
    to: String,
    payment: String,
    fare: f64,
    note: Option<String>,
}

fn ride() -> Ride {
    Ride {
        vendor: 2,
        pickup: 1_735_689_600_000,
        dropoff: 1_735_690_500_000,
        passengers: 1,
        distance: 3.4,
        rate: "standard rate".to_owned(),
        stored: false,
        from: "Upper East Side South".to_owned(),
        to: "Times Sq/Theatre District".to_owned(),
        payment: "credit card".to_owned(),
        fare: 17.9,
        note: Some("airport fee not charged".to_owned()),
    }
}

const JSON: Topic<Ride> = Topic::json("json");
const AVRO: Topic<Ride> = Topic::avro("avro");

/// One line of the table: nanoseconds and allocations per value.
struct Line {
    name: &'static str,
    work: Box<dyn FnMut()>,
    nanos: f64,
    allocations: f64,
}

fn line(name: &'static str, work: impl FnMut() + 'static) -> Line {
    Line {
        name,
        work: Box::new(work),
        nanos: f64::INFINITY,
        allocations: 0.0,
    }
}

fn writing(name: &'static str, mut write: impl FnMut(&mut Vec<u8>) + 'static) -> Line {
    let mut out = Vec::with_capacity(1024);
    line(name, move || {
        out.clear();
        write(&mut out);
        black_box(&out);
    })
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let ride = ride();
    let (json, avro) = (TopicCodec::new(&JSON), TopicCodec::new(&AVRO));
    let (mut text, mut framed) = (Vec::new(), Vec::new());
    json.encode(&ride, &mut text)?;
    avro.encode(&ride, &mut framed)?;
    let body = framed[5..].to_vec();
    let schema: &'static Schema =
        Box::leak(Box::new(AvroCodec::<Ride>::new()?.schema().json().parse()?));
    let plain: Plain = serde_avro_fast::from_datum_slice(&body, schema)?;
    let mut config = SerializerConfig::new(schema);
    let mut check = Vec::new();
    check = serde_avro_fast::to_datum(&plain, check, &mut config)?;
    assert_eq!(check, body, "both write the same bytes");

    let mut lines = vec![
        {
            let ride = ride.clone();
            writing("json encode, serde_json", move |out| {
                drop(serde_json::to_writer(out, black_box(&ride)));
            })
        },
        {
            let (ride, codec) = (ride.clone(), TopicCodec::new(&JSON));
            writing("json encode, topic", move |out| {
                drop(codec.encode(black_box(&ride), out));
            })
        },
        {
            let text = text.clone();
            line("json decode, serde_json", move || {
                drop(black_box(serde_json::from_slice::<Ride>(black_box(&text))));
            })
        },
        line("json decode, topic", move || {
            drop(black_box(json.decode(black_box(&text))));
        }),
        writing("avro encode, serde_avro_fast", move |out| {
            drop(serde_avro_fast::to_datum(
                black_box(&plain),
                &mut *out,
                &mut config,
            ));
        }),
        {
            let codec = TopicCodec::new(&AVRO);
            writing("avro encode, topic", move |out| {
                drop(codec.encode(black_box(&ride), out));
            })
        },
        line("avro decode, serde_avro_fast", move || {
            drop(black_box(serde_avro_fast::from_datum_slice::<Plain>(
                black_box(&body),
                schema,
            )));
        }),
        line("avro decode, topic", move || {
            drop(black_box(avro.decode(black_box(&framed))));
        }),
    ];
    for _ in 0..options.rounds {
        for line in &mut lines {
            let begun = Instant::now();
            for _ in 0..options.records {
                (line.work)();
            }
            let nanos = begun.elapsed().as_secs_f64() * 1e9 / f64::from(options.records);
            line.nanos = line.nanos.min(nanos);
        }
    }
    allocations::start();
    for line in &mut lines {
        let before = allocations::count();
        for _ in 0..1_000 {
            (line.work)();
        }
        line.allocations = (allocations::count() - before) as f64 / 1_000.0;
    }
    println!("| | ns | allocations |\n|---|---|---|");
    for line in &lines {
        println!(
            "| {} | {:.0} | {:.2} |",
            line.name, line.nanos, line.allocations
        );
    }
    let of = |kind: &str| -> f64 {
        let lines = lines.iter().filter(|line| line.name.starts_with("avro"));
        lines
            .filter(|line| line.name.ends_with(kind))
            .map(|line| line.nanos)
            .sum()
    };
    let (floor, ours) = (of("serde_avro_fast"), of("topic"));
    println!(
        "bench codecs ratio={:.3} floor={floor:.0} ours={ours:.0}",
        floor / ours
    );
    Ok(())
}
