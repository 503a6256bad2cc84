//! As much of HTTP/1.1 and of websockets as a client of a benchmark needs.
//!
//! Pure: bytes in; whole answers and frames out, or how much is missing.

type Result<T, E = &'static str> = std::result::Result<T, E>;

const HEAD_END: &[u8] = b"\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

pub(super) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// Asks for a websocket. The key is RFC 6455's own example: nobody is to be convinced of anything.
pub(super) fn upgrade(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of head and body.
    pub(super) length: usize,
}

/// The length of a head with its empty line, once it is there.
pub(super) fn head(bytes: &[u8]) -> Option<usize> {
    let end = bytes
        .windows(HEAD_END.len())
        .position(|four| four == HEAD_END)?;
    Some(end + HEAD_END.len())
}

/// The answer these bytes begin with; `None`: it has not come whole. A body in chunks is taken to be the last
/// thing there is.
pub(super) fn answer(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = head(bytes) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text")?;
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let status = status.ok_or("an answer without status")?;
    let mut length = (status == 101).then_some(0);
    let mut chunked = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            let value = value.trim().parse();
            length = Some(value.map_err(|_| "a length that is no number")?);
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    let whole = match length {
        Some(body) => end + body,
        None if chunked && bytes[end..].ends_with(LAST_CHUNK) => bytes.len(),
        None if chunked => return Ok(None),
        None => return Err("an answer whose length nobody knows"),
    };
    Ok((whole <= bytes.len()).then_some(Answer {
        status,
        length: whole,
    }))
}

/// A whole frame from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// Bytes of all of it.
    pub(super) length: usize,
}

/// The frame these bytes begin with; `None`: it has not come whole.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<Frame<'_>>> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0x80 == 0 || second & 0x80 != 0 {
        return Err("a frame in parts, or one that is masked");
    }
    let (extended, begin): (_, usize) = match second & 0x7f {
        126 => (rest.get(..2), 4),
        127 => (rest.get(..8), 10),
        _ => (Some(&[][..]), 2),
    };
    let Some(extended) = extended else {
        return Ok(None);
    };
    let length = if extended.is_empty() {
        u64::from(second & 0x7f)
    } else {
        extended
            .iter()
            .fold(0, |length, byte| (length << 8) | u64::from(*byte))
    };
    let length = usize::try_from(length).map_err(|_| "a frame that is too long")?;
    let end = begin
        .checked_add(length)
        .ok_or("a frame that is too long")?;
    Ok(bytes.get(begin..end).map(|payload| Frame {
        opcode: first & 0x0f,
        payload,
        length: end,
    }))
}

/// A frame to the server, of at most 125 bytes. It is masked with zeros, which changes nothing.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(125)];
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404";
        let whole = text.len() - 12;
        for end in 0..whole {
            assert_eq!(answer(&text[..end]), Ok(None), "{end}");
        }
        let expected = Answer {
            status: 200,
            length: whole,
        };
        assert_eq!(answer(text), Ok(Some(expected)));
        let upgraded = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00";
        let answer = answer(upgraded).unwrap().unwrap();
        assert_eq!((answer.status, answer.length), (101, upgraded.len() - 2));
    }

    #[test]
    fn bodies_in_chunks_end_with_the_empty_one() {
        let text = b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
        assert_eq!(answer(&text[..text.len() - 2]), Ok(None));
        assert_eq!(answer(text).unwrap().unwrap().length, text.len());
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(answer(b"SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn frames_of_every_length_are_read_once_they_are_whole() {
        for length in [0_usize, 1, 125, 126, 65_535, 65_536] {
            let mut bytes = vec![0x80 | TEXT];
            match length {
                0..126 => bytes.push(length as u8),
                126..65_536 => {
                    bytes.push(126);
                    bytes.extend_from_slice(&(length as u16).to_be_bytes());
                }
                _ => {
                    bytes.push(127);
                    bytes.extend_from_slice(&(length as u64).to_be_bytes());
                }
            }
            for end in 0..bytes.len() {
                assert_eq!(frame(&bytes[..end]), Ok(None), "{length} {end}");
            }
            let whole = bytes.len() + length;
            bytes.resize(whole, b'x');
            if length > 0 {
                assert_eq!(frame(&bytes[..whole - 1]), Ok(None));
            }
            bytes.extend_from_slice(b"more");
            let frame = frame(&bytes).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.length), (TEXT, whole));
            assert_eq!(frame.payload.len(), length);
        }
        assert!(frame(&[0x01, 0]).is_err());
        assert!(frame(&[0x81, 0x80]).is_err());
    }

    #[test]
    fn frames_to_the_server_are_masked_with_nothing() {
        assert_eq!(masked(PONG, b"hi"), b"\x8a\x82\0\0\0\0hi");
    }
}
