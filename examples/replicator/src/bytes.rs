//! Keys as they are.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use citizenk::codec::{Decode, Encode, Raw};
use citizenk::{DecodeError, EncodeError};

/// A key's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBytes(pub Vec<u8>);

impl fmt::Display for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl FromStr for KeyBytes {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.as_bytes().to_vec()))
    }
}

impl Decode<Raw> for KeyBytes {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(bytes.to_vec()))
    }
}

impl Encode<Raw> for KeyBytes {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }
}
