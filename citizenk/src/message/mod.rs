//! What may be the value of a record.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use crate::codec::RawBytes;

/// Values of records. `#[citizenk::message]` implements it together with serde's traits and
/// `JsonSchema`; a type that has those already needs only `impl citizenk::Message for Order {}`.
///
/// The marker is what tells `Option<Order>` (an order or a tombstone) from an order.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "put `#[citizenk::message]` on the type, or write `impl citizenk::Message for {Self} {{}}`"
)]
pub trait Message: Send + 'static {}

macro_rules! messages {
    ($($ty:ty),* $(,)?) => {$(impl Message for $ty {})*};
}

messages!(
    (),
    bool,
    i8,
    i16,
    i32,
    i64,
    i128,
    u8,
    u16,
    u32,
    u64,
    u128,
    f32,
    f64,
    char,
    String,
    RawBytes,
    serde_json::Value,
);

impl<T: Message> Message for Vec<T> {}
impl<T: Message> Message for Box<T> {}
impl<T: Message, S: BuildHasher + Send + 'static> Message for HashMap<String, T, S> {}
impl<T: Message> Message for BTreeMap<String, T> {}
