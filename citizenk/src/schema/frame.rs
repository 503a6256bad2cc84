//! The wire format of schema registries: a zero byte, the schema's id, the body.

use crate::error::SchemaId;

/// A value that says which schema it was written with.
///
/// One zero byte, the id as four big-endian bytes, then the body: the format of Confluent's serializers for
/// Avro and JSON Schema.
///
/// ```
/// use citizenk::schema::Frame;
///
/// let bytes = [0, 0, 0, 0, 7, b'x'];
/// let frame = Frame::parse(&bytes).unwrap();
/// assert_eq!((frame.id, frame.body), (7, &b"x"[..]));
///
/// let mut out = Vec::new();
/// Frame::begin(7, &mut out);
/// out.push(b'x');
/// assert_eq!(out, bytes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The id of the schema in its registry.
    pub id: u32,
    /// What was written with it.
    pub body: &'a [u8],
}

/// The header that names the schema of a key or a value, as Confluent's serializers write it: a byte 1 and a GUID, or a
/// byte 0 and a number, each big-endian.
const HEADERS: [&str; 2] = ["__key_schema_id", "__value_schema_id"];

/// Bytes of a key or a value, and what a header says about their schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) named: Named,
}

/// What a header says about a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Nothing: the bytes say it themselves.
    Inside,
    Id(SchemaId),
    /// Something that is neither, of this length.
    Unreadable(usize),
}

impl<'a> Payload<'a> {
    /// Without a header.
    #[inline]
    pub(crate) fn bare(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            named: Named::Inside,
        }
    }
}

impl Named {
    /// What the headers of a record say of its key and its value; the last of a name counts.
    #[inline]
    pub(crate) fn of_headers(visit: impl FnOnce(&mut dyn FnMut(&str, Option<&[u8]>))) -> [Self; 2] {
        let mut named = [Self::Inside; 2];
        visit(&mut |name, value| {
            for (side, header) in named.iter_mut().zip(HEADERS) {
                if name == header {
                    *side = Self::read(value.unwrap_or_default());
                }
            }
        });
        named
    }

    fn read(header: &[u8]) -> Self {
        match *header {
            [0, a, b, c, d] => Self::Id(SchemaId::Number(u32::from_be_bytes([a, b, c, d]))),
            [1, ref guid @ ..] => match guid.try_into() {
                Ok(guid) => Self::Id(SchemaId::Guid(guid)),
                Err(_) => Self::Unreadable(header.len()),
            },
            _ => Self::Unreadable(header.len()),
        }
    }
}

/// Why bytes are no [`Frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There are no bytes at all.
    #[error("the payload is empty; a framed value begins with a zero byte and a schema id")]
    Empty,
    /// The first byte is not zero.
    #[error(
        "the first byte is {first:#04x}, not 0: the value was written without a schema registry{}",
        looks_like(*.first)
    )]
    Unframed {
        /// The byte that stands there.
        first: u8,
    },
    /// The id is cut off.
    #[error(
        "{len} bytes are too few: a framed value begins with a zero byte and four bytes of schema id"
    )]
    Short {
        /// How many bytes there are.
        len: usize,
    },
}

fn looks_like(first: u8) -> &'static str {
    match first {
        b'{' | b'[' | b'"' => " (it looks like plain JSON: use `Topic::json`)",
        0xC3 => " (it looks like Avro single-object encoding: use `Topic::avro_single_object`)",
        b'O' => " (it looks like an Avro file)",
        _ => "",
    }
}

impl<'a> Frame<'a> {
    /// Bytes before the body.
    pub const HEAD: usize = 5;

    /// Takes a framed value apart.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes do not begin as a frame does. Any id is taken: whether it exists is the
    /// registry's to say.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        match *bytes {
            [0, a, b, c, d, ref body @ ..] => Ok(Self {
                id: u32::from_be_bytes([a, b, c, d]),
                body,
            }),
            [] => Err(FrameError::Empty),
            [0, ..] => Err(FrameError::Short { len: bytes.len() }),
            [first, ..] => Err(FrameError::Unframed { first }),
        }
    }

    /// Appends what stands before a body.
    #[inline]
    pub fn begin(id: u32, out: &mut Vec<u8>) {
        let [a, b, c, d] = id.to_be_bytes();
        out.extend_from_slice(&[0, a, b, c, d]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_frame_comes_back(id: u32, body: Vec<u8>) {
            let mut bytes = Vec::new();
            Frame::begin(id, &mut bytes);
            bytes.extend_from_slice(&body);
            prop_assert_eq!(Frame::parse(&bytes), Ok(Frame { id, body: &body }));
        }

        #[test]
        fn garbage_is_an_error_that_says_what_is_there(bytes: Vec<u8>) {
            match Frame::parse(&bytes) {
                Ok(frame) => prop_assert_eq!(frame.body.len() + Frame::HEAD, bytes.len()),
                Err(FrameError::Empty) => prop_assert!(bytes.is_empty()),
                Err(FrameError::Short { len }) => prop_assert!(len == bytes.len() && len < Frame::HEAD),
                Err(FrameError::Unframed { first }) => prop_assert_eq!(first, bytes[0]),
            }
        }
    }

    #[test]
    fn headers_name_a_schema_by_number_or_guid_and_the_last_counts() {
        let named = |headers: &[(&str, &[u8])]| {
            Named::of_headers(|visit| {
                headers
                    .iter()
                    .for_each(|(name, value)| visit(name, Some(value)));
            })
        };
        assert_eq!(named(&[("other", &[0, 0, 0, 0, 7])]), [Named::Inside; 2]);
        let guid: Vec<u8> = (0..17).collect();
        let [key, value] = named(&[
            ("__value_schema_id", b"x"),
            ("__key_schema_id", &[0, 0, 0, 1, 0]),
            ("__value_schema_id", &[&[1], &guid[1..]].concat()),
        ]);
        assert_eq!(key, Named::Id(SchemaId::Number(256)));
        let Named::Id(id) = value else {
            panic!("{value:?}")
        };
        assert_eq!(id.to_string(), "01020304-0506-0708-090a-0b0c0d0e0f10");
        for broken in [&[][..], &[1, 2], &[2; 17], &[0; 4]] {
            let [_, value] = named(&[("__value_schema_id", broken)]);
            assert_eq!(value, Named::Unreadable(broken.len()));
        }
    }

    #[test]
    fn what_it_looks_like_is_said() {
        let error = Frame::parse(b"{}").unwrap_err().to_string();
        assert!(error.contains("plain JSON"), "{error}");
        let error = Frame::parse(&[0xC3, 1]).unwrap_err().to_string();
        assert!(error.contains("single-object"), "{error}");
    }
}
