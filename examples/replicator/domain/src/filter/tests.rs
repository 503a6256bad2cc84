//! The compiled evaluator and the reference give one answer.

use proptest::prelude::*;

use super::*;

type Headers = Vec<(String, Option<Vec<u8>>)>;

fn record<'a>(key: Option<&'a str>, value: Option<&'a [u8]>, headers: &'a Headers) -> Record<'a> {
    Record {
        topic: "orders",
        partition: 2,
        offset: 41,
        timestamp: Some(1_700_000_000_000),
        key: key.map(str::as_bytes),
        value,
        headers,
    }
}

fn judge(expression: &str, record: &Record<'_>) -> Verdict {
    let filter =
        Filter::compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let fast = filter.judge(record, &mut Scratch::default());
    assert_eq!(
        fast,
        filter.judge_slowly(record),
        "{expression} on {record:?}"
    );
    fast
}

const VALUE: &str = r#"{
    "msg": "world", "n": 7, "big": 9007199254740993, "f": 1.5, "t": true, "no": false, "nil": null, "empty": "",
    "o": {"in": {"x": 1}, "": 2}, "none": {}, "list": [1, "a", {"b": [3]}], "nothing": [], "two words": "q",
    "esc": "a\"\u00fc\n", "dup": 1, "dup": "last", "d": {"x": 1}, "d": {"y": 2}, "n2": 7.0, "neg": -0
}"#;

/// Each form of the grammar, with what it is for the record above.
const CASES: &[(&str, bool)] = &[
    // The documented one, then roots.
    ("key == 'hello' && value.msg == 'world'", true),
    ("key == 'hello' && value.msg == 'moon'", false),
    ("key", true),
    ("value", true),
    ("headers", true),
    ("topic == 'orders'", true),
    ("partition == `2`", true),
    ("offset > `40`", true),
    ("timestamp >= `1700000000000`", true),
    ("headers.trace == 'on'", true),
    ("headers.none", false),
    ("headers.\"no-text\"", false),
    ("headers.twice == 'b'", true),
    ("nothing", false),
    ("key.x", false),
    ("topic.x.y", false),
    ("headers.trace.x", false),
    // Identifiers and sub-expressions.
    ("value.n", true),
    ("value.o.in.x == `1`", true),
    ("value.\"two words\" == 'q'", true),
    ("value.o.\"\" == `2`", true),
    ("value.missing.deep", false),
    ("value.msg.deep", false),
    ("value.list.x", false),
    ("value | msg", true),
    ("value.dup == 'last'", true),
    ("value.d.x", false),
    ("value.d.y == `2`", true),
    ("value.esc == 'a\"ü\n'", true),
    ("value.\"\\u006dsg\" == 'world'", true),
    // Truth.
    ("value.t", true),
    ("value.no", false),
    ("value.nil", false),
    ("value.empty", false),
    ("value.none", false),
    ("value.nothing", false),
    ("value.list", true),
    ("value.o", true),
    ("value.neg", true),
    ("!(value.none)", true),
    ("!value.none", false),
    ("!(!(value.t))", true),
    ("`0`", true),
    ("`[]`", false),
    ("`{}`", false),
    ("`null`", false),
    ("''", false),
    // Literals.
    ("value.msg == `\"world\"`", true),
    ("value.n == `7`", true),
    ("value.n == `7.0`", true),
    ("value.n2 == `7`", true),
    ("value.n == `\"7\"`", false),
    ("value.nil == `null`", true),
    ("value.missing == `null`", true),
    ("value.t == `true`", true),
    ("value.none == `{}`", true),
    ("value.nothing == `[]`", true),
    ("value.neg == `0`", true),
    ("value.o == `{\"in\":{\"x\":1},\"\":2}`", true),
    ("value.big == `9007199254740993`", true),
    ("value.msg == 'wor\\'ld'", false),
    // Comparisons.
    ("value.n < `8`", true),
    ("value.n <= `7`", true),
    ("value.n > `7`", false),
    ("value.n >= `7`", true),
    ("value.n != `7`", false),
    ("value.msg != 'x'", true),
    ("value.msg < 'x'", false),
    ("!(value.msg < 'x')", true),
    ("value.n < 'x'", false),
    ("value.n == value.n2", true),
    ("value.list == value.list", true),
    ("value.o == value.d", false),
    ("value.none == value.nothing", false),
    ("value.nil < `1`", false),
    ("value.f == `1.5`", true),
    // And, or, not, parentheses.
    ("value.t || value.no", true),
    ("value.no || value.nil", false),
    ("value.t && !(value.no)", true),
    ("(value.no || value.t) && value.n == `7`", true),
    ("value.no || value.msg == 'world' && value.nil", false),
    ("(value.msg || value.n) == 'world'", true),
    ("(value.t && value.n) == `7`", true),
    // Functions.
    ("contains(value.msg, 'orl')", true),
    ("contains(value.list, 'a')", true),
    ("contains(value.list, `2`)", false),
    ("starts_with(value.msg, 'wo')", true),
    ("ends_with(key, 'lo')", true),
    ("length(value.list) == `3`", true),
    ("type(value.n) == 'number'", true),
    ("keys(value.o) == `[\"\",\"in\"]`", true),
    ("not_null(value.nil, value.n) == `7`", true),
    ("to_string(value.n) == '7'", true),
    ("to_number('7') == value.n", true),
    ("max(value.list[0:1]) == `1`", true),
    ("sort(`[2,1]`)[0] == `1`", true),
    ("sum(`[1,2]`) == `3`", true),
    ("avg(`[1,3]`) == `2`", true),
    ("join('-', `[\"a\",\"b\"]`) == 'a-b'", true),
    ("abs(`-1`) == `1`", true),
    ("ceil(`0.5`) == `1`", true),
    ("floor(`1.5`) == `1`", true),
    ("reverse('ab') == 'ba'", true),
    ("merge(`{\"a\":1}`, `{\"b\":2}`).b == `2`", true),
    ("values(`{\"a\":1}`) == `[1]`", true),
    ("to_array(value.n) == `[7]`", true),
    ("map(&b, value.list)[2] == `[3]`", true),
    ("min_by(`[{\"a\":2},{\"a\":1}]`, &a).a == `1`", true),
    ("max_by(`[{\"a\":2},{\"a\":1}]`, &a).a == `2`", true),
    ("sort_by(`[{\"a\":2},{\"a\":1}]`, &a)[0].a == `1`", true),
    ("min(`[2,1]`) == `1`", true),
    ("bucket(key) == `24`", true),
    ("bucket(key) < `90`", true),
    ("bucket(value.nil) < `90`", false),
    ("bucket('42') == `76`", true),
    // Lists, slices, projections, filters, flattening, multi-selects, pipes.
    ("value.list[0] == `1`", true),
    ("value.list[-1].b[0] == `3`", true),
    ("value.list[9]", false),
    ("value.list[::2]", true),
    ("value.list[1:2] == `[\"a\"]`", true),
    ("value.list[*].b", true),
    ("value.list[?b].b", true),
    ("value.list[?@ == 'a']", true),
    ("value.list[?@ == 'z']", false),
    ("value.list[].b[]", true),
    ("value.o.*.x", true),
    ("*", true),
    ("@", true),
    ("@.key == 'hello'", true),
    ("value.[msg, n] == `[\"world\", 7]`", true),
    ("value.{m: msg}.m == 'world'", true),
    ("[key, topic]", true),
    ("value.list | [0] == `1`", true),
    ("[?value.n]", false),
    ("value.list[*] | [1] == 'a'", true),
];

#[test]
fn each_form_of_the_grammar_means_the_same() {
    let headers: Headers = vec![
        ("trace".into(), Some(b"on".to_vec())),
        ("no-text".into(), Some(vec![0xff])),
        ("twice".into(), Some(b"a".to_vec())),
        ("twice".into(), Some(b"b".to_vec())),
        ("null".into(), None),
    ];
    for (expression, expected) in CASES {
        let verdict = judge(
            expression,
            &record(Some("hello"), Some(VALUE.as_bytes()), &headers),
        );
        let expected = if *expected {
            Verdict::Keep
        } else {
            Verdict::Drop
        };
        assert_eq!(verdict, expected, "{expression}");
        for value in [
            None,
            Some(&b"7"[..]),
            Some(b"null"),
            Some(b"[]"),
            Some(b"{"),
            Some(b"\xff"),
            Some(b""),
        ] {
            for key in [None, Some("hello")] {
                judge(expression, &record(key, value, &Vec::new()));
            }
        }
    }
    let fast = CASES
        .iter()
        .filter(|(text, _)| Filter::compile(text).expect("valid").is_fast())
        .count();
    assert!(fast > 70, "{fast} of {} are fast", CASES.len());
}

#[test]
fn a_mistake_is_said_with_its_place() {
    for (text, column, part) in [
        ("value.", 7, "Expected identifier"),
        ("key = 'a'", 5, ""),
        ("key == 'a", 8, ""),
        ("value.a == `{`", 12, ""),
        ("foo(key)", 4, "no function `foo`"),
        ("key && bucket()", 14, "takes 1 arguments, not 0"),
        ("contains(key)", 9, "takes 2 arguments, not 1"),
        ("value[::0]", 0, ""),
        ("", 1, ""),
    ] {
        let error = Filter::compile(text).expect_err(text);
        assert!(error.reason.contains(part), "{text}: {error}");
        assert!(
            column == 0 || error.place.column.abs_diff(column) <= 1,
            "{text}: {error}"
        );
        assert_eq!(error.place.line, 1, "{text}");
    }
}

#[test]
fn what_asks_not_for_the_value_takes_any_bytes() {
    let none = Vec::new();
    let no_json = record(Some("k"), Some(b"\x00\x01"), &none);
    for (expression, verdict) in [
        ("key == 'k'", Verdict::Keep),
        ("partition == `1`", Verdict::Drop),
    ] {
        assert!(!Filter::compile(expression).expect("valid").needs_value());
        assert_eq!(judge(expression, &no_json), verdict);
    }
    assert!(matches!(
        judge("value.a", &no_json),
        Verdict::Undecodable(_)
    ));
    assert!(matches!(
        judge("key == 'x' && value.a", &no_json),
        Verdict::Undecodable(_)
    ));
    assert!(matches!(
        judge("contains(key, 'k') || contains(partition, 'x')", &no_json),
        Verdict::Keep
    ));
    assert!(matches!(
        judge("contains(partition, 'x')", &no_json),
        Verdict::Failed(_)
    ));
}

/// Documents and expressions over a small alphabet, so that they meet.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("\"\"".to_owned()),
        Just("\"a\"".to_owned()),
        Just("\"\\u0061b\"".to_owned()),
        Just("\"ü\"".to_owned()),
        Just("0".to_owned()),
        Just("-0.0".to_owned()),
        Just("1".to_owned()),
        Just("1.0".to_owned()),
        Just("1e2".to_owned()),
        Just("9007199254740993".to_owned()),
        Just("9007199254740992".to_owned()),
        Just("1e999".to_owned()),
        Just("\"\\ud800\"".to_owned()),
        any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(|f| f.to_string()),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        let name = prop_oneof![Just("a"), Just("b"), Just("\\u0061"), Just("")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((name, inner), 0..5).prop_map(|members| {
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(" ,"))
            }),
        ]
    })
}

fn expression() -> impl Strategy<Value = String> {
    let operand = || {
        prop_oneof![
            Just("key".to_owned()),
            Just("value".to_owned()),
            Just("value.a".to_owned()),
            Just("value.b".to_owned()),
            Just("value.a.b".to_owned()),
            Just("value.a.a".to_owned()),
            Just("value.\"\"".to_owned()),
            Just("headers.a".to_owned()),
            Just("offset".to_owned()),
            Just("nothing".to_owned()),
            Just("'a'".to_owned()),
            Just("''".to_owned()),
            Just("`1`".to_owned()),
            Just("`null`".to_owned()),
            Just("`true`".to_owned()),
            Just("`9007199254740993`".to_owned()),
            Just("`[]`".to_owned()),
            Just("bucket(key)".to_owned()),
            Just("bucket(value.a)".to_owned()),
            Just("value.a[0]".to_owned()),
            Just("`-0.0`".to_owned()),
        ]
    };
    let comparator = prop_oneof![
        Just("=="),
        Just("!="),
        Just("<"),
        Just("<="),
        Just(">"),
        Just(">=")
    ];
    let function = prop_oneof![Just("contains"), Just("starts_with"), Just("ends_with")];
    let test = prop_oneof![
        operand(),
        (operand(), comparator, operand()).prop_map(|(a, c, b)| format!("{a} {c} {b}")),
        (function, operand()).prop_map(|(f, a)| format!("{f}({a}, 'a')")),
    ];
    test.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]
    #[test]
    fn the_compiled_evaluator_never_differs_from_the_reference(
        expression in expression(),
        value in prop::option::weighted(0.95, json()),
        key in prop::option::of("[ab]{0,2}"),
        header in prop::option::of("[ab]{0,1}"),
        cut in prop::option::weighted(0.05, 0_usize..20),
    ) {
        let headers: Headers = vec![("a".into(), header.map(String::into_bytes))];
        let value = value.map(String::into_bytes).map(|mut value| {
            if let Some(cut) = cut { value.truncate(cut); }
            value
        });
        judge(&expression, &record(key.as_deref(), value.as_deref(), &headers));
    }
}
