//! Arguments of `#[message]`.
//!
//! In: the attribute's tokens. Out: [`MessageArgs`].

use super::keys::{Args, Common, MESSAGE_KEYS, Table};

#[derive(Default)]
pub(crate) struct MessageArgs {
    pub(crate) common: Common,
}

impl Args for MessageArgs {
    const TABLE: Table<Self> = Table {
        attribute: "message",
        positional: None,
        keys: &[],
        common: MESSAGE_KEYS,
    };

    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}
