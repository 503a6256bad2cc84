//! No input makes an attribute panic or drop the item.

use proc_macro2::TokenStream;
use proptest::prelude::*;

use super::ATTRIBUTES;

/// What attributes and handlers are made of, so that random streams come near to valid ones.
const WORDS: &[&str] = &[
    "topics",
    "batch_size",
    "batch_timeout",
    "output",
    "sends",
    "on_error",
    "on_decode_error",
    "retry",
    "retry_topics",
    "[\"30s\", \"10m\"]",
    "dead_letter",
    "skip",
    "stop",
    "backoff",
    "then",
    "name",
    "group",
    "none",
    "start",
    "latest",
    "after",
    "handle",
    "crate",
    "get",
    "post",
    "tag",
    "on",
    "one",
    "owner",
    "tz",
    "prefix",
    "startup",
    "assigned",
    "=",
    "=",
    "=",
    ",",
    ",",
    ";",
    "::",
    "<",
    ">",
    "->",
    "&",
    "'a",
    "'static",
    "#",
    "!",
    ".",
    "..",
    "*",
    "|",
    "0",
    "1",
    "5",
    "99999999999999999999999",
    "1.5",
    "-",
    "\"\"",
    "\"5s\"",
    "\"200\"",
    "\"0s\"",
    "\"/a/{id}\"",
    "\"/{\"",
    "\"100ms..10s\"",
    "\"10s..1s\"",
    "\"..\"",
    "\"ä\"",
    "b\"x\"",
    "'c'",
    "true",
    "ORDERS",
    "Event",
    "Batch",
    "Order",
    "self",
    "Self",
    "_",
    "impl",
    "dyn",
    "where",
    "for",
    "r#type",
    "str",
    "async",
    "fn",
    "orders",
    "pub",
    "unsafe",
    "const",
    "extern",
    "struct",
    "enum",
    "union",
    "mod",
    "use",
    "derive",
    "Serialize",
    "doc",
    "cfg",
    "agent",
    "route",
    "citizenk",
    "module",
    "message",
    "T",
    "macro_rules",
    "()",
    "[]",
    "{}",
    "(1)",
    "[A]",
    "(a: T)",
    "(b: Event<Order>, k: Key<u32>)",
    "#[agent]",
    "#[cfg(x)]",
    "#[doc = \" d\"]",
    "async fn orders",
    "{ #[agent] async fn a() {} mod x; }",
    "mod m",
    "struct S",
];

fn tokens(longest: usize) -> impl Strategy<Value = TokenStream> {
    let leaf = prop::sample::select(WORDS).prop_map(str::to_owned);
    let tree = leaf.prop_recursive(3, 24, 6, |inner| {
        (
            prop::sample::select(&["()", "[]", "{}"][..]),
            prop::collection::vec(inner, 0..6),
        )
            .prop_map(|(brackets, inner)| {
                let (open, close) = brackets.split_at(1);
                format!("{open} {} {close}", inner.join(" "))
            })
    });
    prop::collection::vec(tree, 0..longest)
        .prop_filter_map("must be tokens", |words| words.join(" ").parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn random_tokens_never_panic(args in tokens(14), item in tokens(14)) {
        for (_, expand) in ATTRIBUTES {
            expand(args.clone(), item.clone());
        }
    }

    #[test]
    fn random_arguments_keep_the_function(args in tokens(14)) {
        let item: TokenStream = "/// x\npub async fn orders(b: Event<Order>) -> u8 { 1 }".parse().unwrap();
        for (name, expand) in &ATTRIBUTES[..5] {
            let expanded = expand(args.clone(), item.clone()).to_string();
            prop_assert!(expanded.starts_with(&item.to_string()), "{name}: {expanded}");
        }
    }

    #[test]
    fn random_items_never_panic_under_good_arguments(item in tokens(14)) {
        let good = [
            r#"topics = [ORDERS], output = ALERTS"#, r#"get = "/a""#, r#""5s""#, r#""0 6 * * *""#, "startup", "",
            "on_error = skip",
        ];
        for ((_, expand), args) in ATTRIBUTES.iter().zip(good) {
            expand(args.parse().unwrap(), item.clone());
        }
    }
}
