//! Broken bytes through everything that reads them before a handler does.
//!
//! 20,000 inputs; `CITIZENK_FUZZ=10000000` makes it as many, and `cargo xtask faults --row D1f` does so. An
//! input depends on its number alone, which is said where one fails.

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use serde::{Deserialize, Serialize};

use super::{Decode, Encode, Json, KeyCodec, Raw, RawBytes};
use crate::error::DecodeError;

const INPUTS: u64 = 20_000;
/// What an error may say beyond what it repeats of the bytes, escaped.
const LONGEST_EXTRA: usize = 1000;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    price: f64,
    note: Option<String>,
    kind: Kind,
    lines: Vec<Line>,
    tags: BTreeMap<String, i32>,
    at: Option<chrono::DateTime<chrono::Utc>>,
    rest: serde_json::Value,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    size: (i8, u16),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Plain,
    Sized(u32),
    Named { name: char },
}

/// Numbers that depend on the input's number alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

const SEEDS: [&str; 6] = [
    r#"{"id":7,"price":1.5,"note":"a \"q\" \u00e9","kind":"Plain","lines":[{"name":"n","size":[1,2]}],"tags":{"a":1},"at":"2025-01-31T06:00:00Z","rest":{"x":[1,{"y":null}]}}"#,
    r#"{"id":18446744073709551615,"price":-0.0,"note":null,"kind":{"Sized":4},"lines":[],"tags":{},"at":null,"rest":[]}"#,
    "{\n \"id\": 1,\r\n \"price\": 1e308,\n \"kind\": {\"Named\": {\"name\": \"x\"}}, \"lines\": [], \"tags\": {\"\": -1}, \"rest\": \"\\ud83d\\ude00\"}",
    r#"[[1,2],{"a":{"b":[true,false,null]}},"text",-1.25e-7]"#,
    r#""just a text""#,
    "42",
];

/// What breaks texts: every byte that means something to JSON, and pieces that parsers stumble over.
const PIECES: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\\u0000",
    b"\\ud800",
    b"\\u",
    b"-",
    b"1e999",
    b"-1e-999",
    b"99999999999999999999999999999999",
    b"null",
    b"NaN",
    b"\"id\":",
    b"\xef\xbb\xbf",
];

fn input(number: u64) -> Vec<u8> {
    let mut dice = Dice(number);
    match dice.below(16) {
        0 => return (0..dice.below(64)).map(|_| dice.next() as u8).collect(),
        1 => {
            // Deeper than any stack would take.
            let piece = [&b"["[..], b"{\"a\":", b"[{\"a\":"][dice.below(3)];
            return piece.repeat(1 + dice.below(2000));
        }
        _ => {}
    }
    let mut bytes = SEEDS[dice.below(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..dice.below(5) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(7) {
            0 => bytes.truncate(at),
            1 => {
                let piece = PIECES[dice.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            2 => {
                let end = (at + dice.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
            3 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            4 if at < bytes.len() => bytes[at] = dice.next() as u8,
            5 => {
                // A piece of another text.
                let other = SEEDS[dice.below(SEEDS.len())].as_bytes();
                let from = dice.below(other.len());
                let to = from + dice.below(other.len() - from);
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                let end = (at + dice.below(20)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// The error can be shown, and is not much longer than the bytes.
fn shown<T>(bytes: &[u8], result: Result<T, DecodeError>) -> Option<T> {
    result
        .map_err(|error| {
            let text = error.to_string();
            let field = error.field().map_or(0, str::len);
            let limit = LONGEST_EXTRA + 8 * bytes.len();
            assert!(
                text.len() <= limit && field <= limit,
                "{} bytes, {text}",
                bytes.len()
            );
        })
        .ok()
}

/// What is read can be written, and is read again as the same; fractions nearly so.
fn there_and_back<T: Decode<Json> + Encode<Json>>(bytes: &[u8], same: fn(&T, &T) -> bool) {
    let Some(value) = shown(bytes, <T as Decode<Json>>::decode(bytes)) else {
        return;
    };
    let mut written = Vec::new();
    value.encode(&mut written).expect("it was read from JSON");
    let again = <T as Decode<Json>>::decode(&written).expect("we have written it");
    assert!(same(&value, &again), "another value came back");
}

fn read(bytes: &[u8]) {
    there_and_back::<Order>(bytes, |a, b| (a.id, &a.tags) == (b.id, &b.tags));
    there_and_back::<Vec<Line>>(bytes, Vec::eq);
    there_and_back::<Option<Kind>>(bytes, Option::eq);
    shown(bytes, <serde_json::Value as Decode<Json>>::decode(bytes));
    shown(bytes, <u64 as Decode<Json>>::decode(bytes));
    let raw = <RawBytes as Decode<Raw>>::decode(bytes).expect("every bytes are bytes");
    assert_eq!(raw.as_ref(), bytes);
    shown(bytes, key(KeyCodec::<String>::text(), bytes));
    shown(bytes, key(KeyCodec::<u32>::text(), bytes));
    shown(bytes, key(KeyCodec::<i64>::big_endian(), bytes));
    shown(bytes, key(KeyCodec::<(u8, String)>::json(), bytes));
}

#[test]
fn no_bytes_panic_whatever_they_are() {
    let inputs = match std::env::var("CITIZENK_FUZZ") {
        Ok(text) => text.parse().expect("a number of inputs"),
        Err(_) => INPUTS,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for number in (first..inputs).step_by(threads as usize) {
                    let bytes = input(number);
                    let result = catch_unwind(|| read(&bytes));
                    assert!(
                        result.is_ok(),
                        "input {number}: {}",
                        String::from_utf8_lossy(&bytes)
                    );
                }
            });
        }
    });
    println!("{inputs} inputs, no panic");
}

#[test]
fn inputs_are_broken_and_whole_ones() {
    let whole = |number: &u64| <Order as Decode<Json>>::decode(&input(*number)).is_ok();
    let count = (0..2000).filter(whole).count();
    assert!((100..1500).contains(&count), "{count} of 2000 are whole");
}

fn key<K>(codec: KeyCodec<K>, bytes: &[u8]) -> Result<K, DecodeError> {
    codec.decode.call(crate::schema::Payload::bare(bytes), || {
        unreachable!("its bytes name no schema")
    })
}
