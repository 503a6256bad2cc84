//! Topics of JSON whose values a JSON Schema has to allow.

use super::Topic;
use crate::codec::{DecodeFn, Json};
use crate::schema::{Rules, ValueSchema, json};

impl<V, K> Topic<V, K> {
    /// Values have to be as the JSON Schema of `V` says, also in what the type alone does not: `range`, `length`, `pattern`,
    /// formats. Feature `strict-json`.
    ///
    /// It is the schema of what `V` reads, for writing, too: what is written has to be what a reader of the same type may
    /// read. So a field that is read under one name and written under another (`rename(serialize = ..)`) cannot be sent
    /// where the schema asks for it, and one that only writing leaves out (`skip_serializing_if`) needs a `default`.
    ///
    /// One that is not is an error with the field: read, it meets `on_decode_error`; written, sending it fails; over HTTP it
    /// is refused. The text is parsed a second time for it. A schema that cannot be used (a pattern with look-around) is
    /// an error when the app starts.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// use citizenk::testing::TopicCodec;
    ///
    /// #[citizenk::message]
    /// struct Order {
    ///     #[schemars(range(min = 1))]
    ///     id: u64,
    ///     #[schemars(length(max = 3))]
    ///     currency: String,
    /// }
    ///
    /// const ORDERS: Topic<Order> = Topic::json("orders").strict();
    ///
    /// let error = TopicCodec::new(&ORDERS).decode(br#"{"id": 7, "currency": "euro"}"#).err().unwrap();
    /// assert_eq!(error.field(), Some("currency"));
    /// ```
    ///
    /// # Panics
    /// When the topic's values are not JSON; in a constant that is a compile error.
    #[must_use]
    pub const fn strict(self) -> Self {
        let rules = Rules::Type(self.schema);
        self.ruled(rules)
    }

    /// As [`Topic::strict`], with this JSON Schema instead of the type's: for open models, whose type says little or nothing
    /// (`serde_json::Value`, a field with `#[serde(flatten)]`). The draft is the one that `$schema` names, by default 2020-12;
    /// schemas elsewhere are not fetched.
    ///
    /// A topic of [`Topic::json_schema`] registers this schema.
    ///
    /// ```
    /// use citizenk::prelude::*;
    /// use citizenk::testing::TopicCodec;
    /// use serde_json::Value;
    ///
    /// const ORDER: &str = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}"#;
    /// const ORDERS: Topic<Value> = Topic::json("orders").strict_with(ORDER);
    ///
    /// let codec = TopicCodec::new(&ORDERS);
    /// assert!(codec.decode(br#"{"id": 7, "anything": ["else"]}"#).is_ok());
    /// assert_eq!(codec.decode(b"{}").unwrap_err().field(), Some("id"));
    /// ```
    ///
    /// # Panics
    /// When the topic's values are not JSON; in a constant that is a compile error.
    #[must_use]
    pub const fn strict_with(mut self, schema: &'static str) -> Self {
        self.own = Some(json::own_text);
        self.wire.schema = ValueSchema::Text(schema);
        self.ruled(Rules::Text(schema))
    }

    const fn ruled(mut self, rules: Rules) -> Self {
        assert!(
            is_json(self.codec),
            "only values of JSON can be checked by a JSON Schema: `Topic::json(..)`, `Topic::json_schema(..)`"
        );
        self.strict = Some(rules);
        self.decode = ruled_decode(self.decode, rules);
        self.from_json = ruled_decode(self.from_json, rules);
        self.encode = match self.encode {
            Some(encode) => Some(encode.strict(rules)),
            None => None,
        };
        self
    }
}

const fn ruled_decode<V>(decode: Option<DecodeFn<V>>, rules: Rules) -> Option<DecodeFn<V>> {
    match decode {
        Some(decode) => Some(decode.strict(rules)),
        None => None,
    }
}

const fn is_json(codec: &str) -> bool {
    same(codec, <Json as crate::codec::Codec>::NAME) || same(codec, json::NAME)
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}
