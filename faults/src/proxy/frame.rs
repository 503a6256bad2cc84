//! What has to be known of Kafka's frames: length, which call it is, and where records' bytes are.

use std::collections::HashMap;

/// The key of the call that commits offsets.
pub(crate) const OFFSET_COMMIT: i16 = 8;
/// The key of the call that writes records.
pub(crate) const PRODUCE: i16 = 0;
/// The key of the call that fetches records.
pub(crate) const FETCH: i16 = 1;
/// The key of the call that ends a transaction.
pub(crate) const END_TXN: i16 = 26;
/// The key of the call that names the partitions of a transaction.
pub(crate) const ADD_PARTITIONS_TO_TXN: i16 = 24;
/// The key of the call that adds committed offsets to a transaction.
pub(crate) const TXN_OFFSET_COMMIT: i16 = 28;

/// What clients of librdkafka call themselves when nobody says otherwise.
pub(super) const NAMELESS: &[u8] = b"rdkafka";

/// What the sender of a request calls itself.
pub(super) fn client(frame: &[u8]) -> &[u8] {
    let length = frame.get(12..14).and_then(|bytes| bytes.try_into().ok());
    let length = usize::try_from(length.map_or(0, i16::from_be_bytes)).unwrap_or(0);
    frame.get(14..14 + length).unwrap_or_default()
}

/// Calls on their way: an answer says its number only, not what it answers.
#[derive(Debug, Default)]
pub(super) struct Calls(HashMap<i32, i16>);

impl Calls {
    /// The key of a request, which is remembered for its answer. `frame` begins with the length.
    pub(super) fn request(&mut self, frame: &[u8]) -> Option<i16> {
        let key = i16::from_be_bytes(frame.get(4..6)?.try_into().ok()?);
        let number = i32::from_be_bytes(frame.get(8..12)?.try_into().ok()?);
        self.0.insert(number, key);
        Some(key)
    }

    /// The key of the request that this frame answers.
    pub(super) fn response(&mut self, frame: &[u8]) -> Option<i16> {
        let number = i32::from_be_bytes(frame.get(4..8)?.try_into().ok()?);
        self.0.remove(&number)
    }
}

/// A byte inside the padding of a record: a run of at least `RUN` equal `filler`s, the `nth` of them.
pub(super) fn padding(frame: &[u8], filler: u8, nth: usize) -> Option<usize> {
    const RUN: usize = 32;
    let runs: Vec<usize> = frame
        .chunk_by(|a, b| a == b)
        .scan(0, |at, run| {
            let begin = *at;
            *at += run.len();
            Some((begin, run))
        })
        .filter(|(_, run)| run.len() >= RUN && run[0] == filler)
        .map(|(begin, run)| begin + run.len() / 2)
        .collect();
    runs.get(nth % runs.len().max(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: i16, number: i32) -> Vec<u8> {
        let mut frame = vec![0, 0, 0, 8];
        frame.extend(key.to_be_bytes());
        frame.extend([0, 3]);
        frame.extend(number.to_be_bytes());
        frame
    }

    fn response(number: i32) -> Vec<u8> {
        [vec![0, 0, 0, 4], number.to_be_bytes().to_vec()].concat()
    }

    #[test]
    fn an_answer_is_known_by_its_request() {
        let mut calls = Calls::default();
        assert_eq!(calls.request(&request(END_TXN, 7)), Some(END_TXN));
        assert_eq!(calls.request(&request(FETCH, 8)), Some(FETCH));
        assert_eq!(calls.response(&response(8)), Some(FETCH));
        assert_eq!(calls.response(&response(7)), Some(END_TXN));
        assert_eq!(calls.response(&response(7)), None);
        assert_eq!(calls.request(&[0, 0, 0, 0]), None);
    }

    #[test]
    fn a_request_says_whose_it_is() {
        let mut frame = request(FETCH, 1);
        assert_eq!(client(&frame), b"");
        frame.extend(3_i16.to_be_bytes());
        frame.extend(b"abc, and what follows");
        assert_eq!(client(&frame), b"abc");
        assert_eq!(client(&request(FETCH, 1)[..6]), b"");
    }

    #[test]
    fn only_padding_is_found() {
        let frame = [&[1, 2, 3][..], &[b'x'; 40], &[9; 60], &[b'x'; 40]].concat();
        assert_eq!(padding(&frame, b'x', 0), Some(23));
        assert_eq!(padding(&frame, b'x', 1), Some(123));
        assert_eq!(padding(&frame, b'x', 2), Some(23));
        assert_eq!(padding(&[0; 100], b'x', 0), None);
    }
}
