//! Hostile bytes: no panic, and no more memory than their length allows.
//!
//! 200,000 values and 20,000 schemas; `CITIZENK_FUZZ=10000000` makes the values as many, and the schemas a hundredth.
//! `cargo xtask faults --row D5` does so.

#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use citizenk::avro::{AvroCodec, AvroReader};
use citizenk::schema::Frame;

/// The system's allocator, which adds up what a thread has asked for.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    // A thread that ends needs it no more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get().saturating_add(bytes)));
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[citizenk::message(avro)]
#[derive(Debug)]
struct Hostile {
    text: String,
    bytes: Vec<u8>,
    numbers: Vec<i64>,
    names: BTreeMap<String, String>,
    nested: Option<Box<Hostile>>,
    many: Vec<Choice>,
    hash: [u8; 8],
}

#[citizenk::message(avro)]
#[derive(Debug)]
enum Choice {
    Nothing,
    Some { values: Vec<Option<f64>> },
}

/// What a payload of so many bytes may ask for at most: each item takes a byte and becomes 64 at most, and a
/// growing list asks for twice as much as it has, again and again; an error has its text.
fn bound(len: usize) -> usize {
    64 * 4 * len + 8_192
}

fn check(codec: &AvroCodec<Hostile>, payload: &[u8]) -> bool {
    bounded(payload, |payload| match Frame::parse(payload) {
        Ok(frame) => codec.read(frame.body).is_ok(),
        Err(error) => !error.to_string().is_empty() && codec.read(payload).is_ok(),
    })
}

/// The same of what another schema wrote.
fn check_older(reader: &AvroReader<Hostile>, payload: &[u8]) -> bool {
    bounded(payload, |payload| reader.read(payload).is_ok())
}

fn bounded(payload: &[u8], read: impl FnOnce(&[u8]) -> bool) -> bool {
    let before = ASKED.get();
    let read = read(payload);
    let asked = ASKED.get() - before;
    assert!(
        asked <= bound(payload.len()),
        "{} bytes made it ask for {asked}: {}",
        payload.len(),
        payload.escape_ascii()
    );
    read
}

fn inputs(few: u64) -> u64 {
    match std::env::var("CITIZENK_FUZZ") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => few,
    }
}

/// Changes, cuts and lengthens at some places.
fn broken(random: &mut Random, whole: &[u8]) -> Vec<u8> {
    let mut payload = whole.to_vec();
    for _ in 0..random.below(4) {
        if payload.is_empty() {
            break;
        }
        let at = random.below(payload.len());
        match random.below(3) {
            0 => payload[at] = random.next() as u8,
            1 => payload.truncate(at),
            _ => payload.insert(at, random.next() as u8),
        }
    }
    payload
}

/// Xorshift: the same bytes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }
}

#[test]
fn counts_and_lengths_that_lie_ask_for_nothing() {
    let codec = AvroCodec::<Hostile>::new().unwrap();
    // The largest zigzag numbers, in the place of every length.
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let negative = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for zeros in 0..8 {
        for number in [&huge, &negative] {
            let mut payload = vec![0; zeros];
            payload.extend_from_slice(number);
            payload.extend_from_slice(&[2; 32]);
            assert!(!check(&codec, &payload), "{}", payload.escape_ascii());
            let mut framed = vec![0, 0, 0, 0, 1];
            framed.extend_from_slice(&payload);
            assert!(!check(&codec, &framed));
        }
    }
}

#[test]
fn values_nested_without_end_are_refused() {
    let codec = AvroCodec::<Hostile>::new().unwrap();
    // Empty fields, then `nested` again and again.
    let payload: Vec<u8> = [0, 0, 0, 0, 2].repeat(100_000);
    assert!(!check(&codec, &payload));
}

#[test]
fn no_bytes_ask_for_more_than_their_length_allows() {
    let codec = AvroCodec::<Hostile>::new().unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut valid = Vec::new();
    let value = Hostile {
        text: "text".to_owned(),
        bytes: vec![1; 20],
        numbers: vec![1, -1, i64::MAX],
        names: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        nested: None,
        many: vec![
            Choice::Nothing,
            Choice::Some {
                values: vec![None, Some(1.0)],
            },
        ],
        hash: [9; 8],
    };
    codec.write(&value, &mut valid).unwrap();
    assert!(check(&codec, &valid));
    let (mut read, mut read_older) = (0, 0);
    let older = codec.reader(OLDER).unwrap();
    // No `gone`, "hi", one byte, two numbers, no names, nothing nested, one of `many` with two values, the hash.
    let mut valid_older = vec![0, 4, b'h', b'i', 2, 1, 4, 2, 3, 0, 0, 0];
    valid_older.extend([2, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0]);
    valid_older.extend([9; 8]);
    assert!(check_older(&older, &valid_older));
    let count = inputs(200_000);
    for _ in 0..count {
        let payload = if random.below(3) == 0 {
            (0..random.below(64)).map(|_| random.next() as u8).collect()
        } else {
            broken(&mut random, &valid)
        };
        read += usize::from(check(&codec, &payload));
        let payload = broken(&mut random, &valid_older);
        read_older += usize::from(check_older(&older, &payload));
    }
    println!("{count} inputs, {read} were values, {read_older} values of another schema");
    assert!(
        read_older > 1_000,
        "only {read_older} were values of another schema"
    );
    assert!(read > 1_000, "only {read} were values at all");
}

/// An older writer: other order, narrower numbers, a field that is gone.
const OLDER: &str = r#"{"type": "record", "name": "Hostile", "fields": [
    {"name": "gone", "type": {"type": "map", "values": ["null", "string", {"type": "array", "items": "long"}]}},
    {"name": "text", "type": "bytes"}, {"name": "bytes", "type": "bytes"},
    {"name": "numbers", "type": {"type": "array", "items": "int"}},
    {"name": "names", "type": {"type": "map", "values": "string"}},
    {"name": "nested", "type": ["null", "Hostile"]},
    {"name": "many", "type": {"type": "array", "items": {"type": "record", "name": "Some", "fields": [
        {"name": "values", "type": {"type": "array", "items": ["null", "double"]}}]}}},
    {"name": "hash", "type": {"type": "fixed", "name": "Fixed8", "size": 8}}]}"#;

#[test]
fn no_text_of_a_schema_panics() {
    let codec = AvroCodec::<Hostile>::new().unwrap();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let own = codec.schema().json().to_owned();
    let (mut usable, count) = (0, inputs(2_000_000) / 100);
    for _ in 0..count {
        let whole = if random.below(2) == 0 { OLDER } else { &own };
        let text = broken(&mut random, whole.as_bytes());
        let read = codec.reader(&String::from_utf8_lossy(&text));
        match read {
            Ok(reader) => {
                usable += 1;
                check_older(&reader, &[2; 40]);
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    println!("{count} inputs, {usable} were schemas");
    assert!(usable > 10, "only {usable} were schemas");
}
