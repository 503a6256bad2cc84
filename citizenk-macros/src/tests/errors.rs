//! Attributes in, texts out; where rustc prints them is in `ui-tests`. The tables here hold what a
//! compiled case per row would be too slow for.

use super::{errors, expand};

fn agent(args: &str) -> Vec<String> {
    errors(expand(&format!(
        "#[agent({args})] async fn orders(orders: Batch<Order>) -> Vec<Alert> {{}}"
    )))
}

/// The first lines of the faults.
fn firsts(texts: Vec<String>) -> Vec<String> {
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    texts.into_iter().map(first).collect()
}

#[test]
fn good_arguments_have_no_faults() {
    let good = [
        "topics = [ORDERS]",
        "topics = [ORDERS,],",
        "topics=[ORDERS, a::B, C.as_input::<X<A, B>>(), input()]",
        "topics = [T], output =a::B",
        "topics = [T], output = Typed::<A, B>::TOPIC, concurrency = 2",
        "topics = [T], sends = []",
        "topics = [T], on_error = retry(1)",
        "topics = [T], on_error = retry(1,)",
        r#"topics = [T], on_error = retry(3, then = skip, backoff = "1s..1s")"#,
        "topics = [T], on_error = dead_letter(a::DLQ,)",
        r#"topics = [T], on_error = retry_topics(["30s", "10m",],)"#,
        r#"topics = [T], on_error = retry(1, then = retry_topics(["30s"], then = dead_letter(DLQ),))"#,
        "topics = [T], guarantee = exactly_once",
        "topics = [T], on_decode_error = dead_letter(DLQ), on_produce_error = retry(2, then = stop)",
        r#"topics = [T], group = "a b", start = latest, after = [a::cache, b]"#,
        "topics = [T], crate = crate::reexport",
        "topics = [T], crate = ::ck, handle = r#type",
        "topics = [T], batch_size = 1_000, blocking = false",
    ];
    for args in good {
        assert_eq!(agent(args), Vec::<String>::new(), "{args}");
    }
}

#[test]
fn bad_arguments_have_one_fault_each() {
    let table = [
        ("", "agent `orders` has no topics"),
        ("topics = []", "`topics` needs at least one topic"),
        (
            "topics = [1]",
            "`topics` takes `Topic` constants, not literals",
        ),
        ("topics = [&A]", "`topics` takes topics by name"),
        ("topics = A", "`topics` takes a list"),
        (
            r#"topics = "a""#,
            "`topics` takes `Topic` constants, not strings",
        ),
        ("topics = [a::B, a :: B]", "topic `a::B` is listed twice"),
        ("topic = [A]", "unknown argument `topic` for `#[agent]`"),
        ("topics = [A], topics = 7", "`topics` is given twice"),
        (
            "topics = [A], guarantee = exactly_one",
            "unknown guarantee `exactly_one`; expected `at_least_once` or `exactly_once`",
        ),
        (
            "topics = [A], batch_size",
            "`batch_size` needs a value, e.g. `batch_size = 100`",
        ),
        (
            "topics = [A], batch_size =",
            "`batch_size` needs a value, e.g. `batch_size = 100`",
        ),
        (
            "topics = [A], batch_size: 5",
            "`batch_size` needs a value, e.g. `batch_size = 100`",
        ),
        (
            "topics = [A], batch_size = 1.5",
            "`batch_size` is a whole number, e.g. `batch_size = 100`",
        ),
        (
            "topics = [A], batch_size = -1",
            "`batch_size` is a whole number, e.g. `batch_size = 100`",
        ),
        (
            "topics = [A], batch_size = 5000000000",
            "`batch_size` is a whole number of at most 4294967295",
        ),
        ("topics = [A], batch_size = 5 6", "expected `,`"),
        (
            "topics = [A],, batch_size = 5",
            "expected an argument before `,`",
        ),
        (
            r#""orders""#,
            "expected an argument such as `topics = [ORDERS]`",
        ),
        (
            "topics = [A], timeout = LATER",
            "`timeout` is a duration in quotes",
        ),
        (
            r#"topics = [A], timeout = "0s""#,
            "`timeout` must be longer than zero",
        ),
        (
            "topics = [A], on_error = retry(0)",
            "`retry` must be at least 1",
        ),
        (
            r#"topics = [A], on_error = retry("5")"#,
            "`retry` starts with a count, e.g. `retry(5)`",
        ),
        (
            "topics = [A], on_error = retry()",
            "`retry` needs a count, e.g. `retry(5)`",
        ),
        (
            "topics = [A], on_error = retry(5, max = 3)",
            "unknown argument of `retry` `max`; expected `backoff` or `then`",
        ),
        (
            "topics = [A], on_error = retry(5, then = skip, then = stop)",
            "`then` is given twice",
        ),
        (
            r#"topics = [A], on_error = retry(5, backoff = "1..2")"#,
            "`backoff` needs units",
        ),
        (
            r#"topics = [A], on_error = retry(5, backoff = "2s..1s")"#,
            "`backoff` must not end below its start",
        ),
        (
            r#"topics = [A], on_error = retry(5, backoff = "0s..1s")"#,
            "`backoff` must start above zero",
        ),
        (
            "topics = [A], on_error = skip(5)",
            "`skip` takes no arguments",
        ),
        (
            "topics = [A], on_error = dead_letter()",
            "`dead_letter` needs a topic, e.g. `dead_letter(ORDERS_DLQ)`",
        ),
        (
            r#"topics = [A], on_error = dead_letter("x")"#,
            "`dead_letter` takes a `Topic` constant, not a string",
        ),
        (
            "topics = [A], on_error = dead_letter(A, B)",
            "`dead_letter` takes one topic",
        ),
        (
            "topics = [A], on_error = 5",
            "`on_error` is `retry`, `retry_topics`, `skip`, `dead_letter(TOPIC)` or `stop`",
        ),
        (
            "topics = [A], on_error = retry_topics",
            "`retry_topics` starts with a list of delays",
        ),
        (
            r#"topics = [A], on_error = retry_topics("30s")"#,
            "`retry_topics` starts with a list of delays",
        ),
        (
            "topics = [A], on_error = retry_topics([30])",
            "a delay of `retry_topics` is a duration in quotes",
        ),
        (
            r#"topics = [A], on_error = retry_topics(["0s"])"#,
            "a delay of `retry_topics` must be above zero",
        ),
        (
            r#"topics = [A], on_error = retry_topics(["soon"])"#,
            "invalid duration `soon`",
        ),
        (
            r#"topics = [A], on_error = retry_topics(["1s"], backoff = "1s..2s")"#,
            "unknown argument of `retry_topics` `backoff`; expected `then`",
        ),
        (
            r#"topics = [A], on_error = retry_topics(["1s"], then = retry_topics(["2s"]))"#,
            "`then` is what ends `retry_topics`, it cannot be `retry_topics`",
        ),
        (
            r#"topics = [A], on_error = retry_topics(["1s"], then = skip, then = stop)"#,
            "`retry_topics` takes delays and `then`",
        ),
        (
            r#"topics = [A], blocking = "yes""#,
            "`blocking` is `true` or `false`",
        ),
        (r#"topics = [A], group = """#, "`group` must not be empty"),
        (
            r#"topics = [A], after = ["cache"]"#,
            "`after` takes agents by name, without quotes",
        ),
        ("topics = [A], after = [a, a]", "agent `a` is listed twice"),
        (
            r#"topics = [A], crate = "ck""#,
            "`crate` is a path without quotes, e.g. `crate = ::citizenk`",
        ),
        ("topics = [A], handle = a::B", "expected `,`"),
        (
            r#"topics = [A], name = "größe""#,
            "agent name `größe` may contain letters, digits, `-`, `_` and `.` only",
        ),
    ];
    for (args, fault) in table {
        assert_eq!(firsts(agent(args)), [fault], "{args}");
    }
}

#[test]
fn bad_signatures_have_one_fault_each() {
    let table = [
        (
            "async fn größe(a: Batch<A>) {}",
            "agent name `größe` may contain letters, digits, `-`, `_` and `.` only",
        ),
        (
            "async fn a(#[cfg(x)] a: Batch<A>) {}",
            "arguments of agent `a` cannot be conditional",
        ),
        (
            "async fn a(a: Batch<Cow<'_, str>>) {}",
            "arguments of agent `a` cannot borrow",
        ),
        (
            "async fn a(a: Batch<&str>) {}",
            "arguments of agent `a` cannot borrow",
        ),
        (
            "async fn a(a: Batch<A>, b: State<impl Clone>) {}",
            "agent `a` cannot take `impl Trait`; name the type",
        ),
        (
            "async fn a<const N: usize>(a: Batch<A>) {}",
            "agent `a` cannot be generic",
        ),
        (
            "static A: u32 = 1;",
            "`#[agent]` goes on an `async fn`, not on a static",
        ),
        (
            "impl A { async fn a() {} }",
            "`#[agent]` goes on an `async fn`, not on an `impl` block",
        ),
        (
            "#[citizenk::route(get = \"/\")] async fn a(a: Batch<A>) {}",
            "`a` already has `#[agent]`; one citizenk attribute per function",
        ),
    ];
    for (item, fault) in table {
        let source = format!("#[agent(topics = [A])] {item}");
        assert_eq!(firsts(errors(expand(&source))), [fault], "{item}");
    }
}

#[test]
fn what_only_looks_wrong_has_no_fault() {
    let good = [
        "async fn a(a: Batch<&'static str>) {}",
        "async fn a(a: Batch<A>, f: State<fn(&str) -> &str>) {}",
        "async fn a(a: Batch<A>, f: State<Arc<dyn for<'x> Fn(&'x str) + Send>>) {}",
        "async fn r#fn(a: Batch<A>) {}",
        "#[actix_web::route] async fn a(a: Batch<A>) {}",
        "pub(in crate::x) async fn a(mut a: Batch<A>, (b, c): State<(u8, u8)>) {}",
    ];
    for item in good {
        let source = format!("#[agent(topics = [A])] {item}");
        assert_eq!(errors(expand(&source)), Vec::<String>::new(), "{item}");
    }
}

#[test]
fn every_fault_is_shown_at_once() {
    let found = errors(expand(
        "#[agent(topics = [], batch_size = 0, on_error = x)] fn a<T>(a: &A) {}",
    ));
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn other_attributes_have_one_fault_each() {
    let table = [
        (
            "#[repeat_every] async fn a() {}",
            "`#[repeat_every]` needs an interval",
        ),
        (
            "#[repeat_every(\"5s\", \"6s\")] async fn a() {}",
            "expected an argument such as `wait_first = true`",
        ),
        (
            "#[repeat_every(5, on = one)] async fn a() {}",
            "an interval needs a unit",
        ),
        (
            "#[repeat_every(\"5s\", on = owner())] async fn a() {}",
            "`owner` needs a topic, e.g. `owner(ORDERS)`",
        ),
        (
            "#[repeat_at(\"* * * * * * *\")] async fn a() {}",
            "a cron expression has five or six fields, this one has 7",
        ),
        (
            "#[repeat_at(\"0 6 * * *\", tz = \"\")] async fn a() {}",
            "`tz` must not be empty",
        ),
        (
            "#[on_event(startup, revoked)] async fn a() {}",
            "a hook has one event",
        ),
        (
            "#[on_event(name = \"x\")] async fn a() {}",
            "`#[on_event]` needs `startup`, `shutdown`, `assigned` or `revoked`",
        ),
        (
            "#[on_event(startup, name)] async fn a() {}",
            "`name` needs a value, e.g. `name = \"orders\"`",
        ),
        (
            "#[route(get = \"/a\", patch = \"/a\")] async fn a() {}",
            "route `a` has two methods, `get` and `patch`",
        ),
        (
            "#[route(get = 5)] async fn a() {}",
            "`get` is a text in quotes",
        ),
        (
            "#[message(cbor)] struct A;",
            "unknown argument `cbor` for `#[message]`",
        ),
        ("#[message(avro, avro)] struct A;", "`avro` is given twice"),
        (
            "#[message(avro(namspace = \"x\"))] struct A;",
            "unknown option `namspace` of `avro(..)`",
        ),
        (
            "#[message(avro(name = \"a-b\"))] struct A;",
            "`a-b` is no Avro name",
        ),
        (
            "#[message(avro)] struct A(u8, u8);",
            "the fields of Avro message `A` need names",
        ),
        (
            "#[message(avro)] struct A<T> { a: T }",
            "Avro message `A` cannot be generic",
        ),
        (
            "#[message(avro)] enum A {}",
            "Avro message `A` has no values",
        ),
        (
            "#[message(avro)] enum A { B(u8, u8) }",
            "variant `B` of Avro message `A` has several values without names",
        ),
        (
            "#[message(avro)] struct A { #[serde(flatten)] a: B }",
            "`flatten` has no Avro form",
        ),
        (
            "#[message(avro)] struct A { #[serde(skip_serializing)] a: B }",
            "`skip_serializing` has no Avro form",
        ),
        (
            "#[message(avro)] #[serde(from = \"B\")] struct A { a: B }",
            "`from` has no Avro form",
        ),
        (
            "#[message(avro)] struct A { #[serde(rename = \"a-b\")] a: u8 }",
            "`a-b` is no Avro name",
        ),
        (
            "#[message(avro)] #[serde(rename_all = \"kebab-case\")] struct A { a_b: u8 }",
            "names with `-` are no Avro names",
        ),
        (
            "#[message(avro)] struct A { #[avro(whith = B)] a: u8 }",
            "unknown option `whith` of `#[avro(..)]`",
        ),
        (
            "#[message(avro)] #[avro(namespace = \"x\")] struct A { a: u8 }",
            "options of the type stand in the attribute",
        ),
        (
            "#[message] #[derive(schemars::JsonSchema)] struct A;",
            "`#[citizenk::message]` already derives `JsonSchema`",
        ),
        (
            "#[message] type A = u32;",
            "`#[message]` goes on a struct or an enum, not on a type alias",
        ),
        (
            "#[module(name = \"a b\")] mod a {}",
            "module name `a b` may contain letters, digits, `-`, `_` and `.` only",
        ),
        (
            "#[module] struct A;",
            "`#[module]` goes on a module, not on a struct",
        ),
        (
            "#[module(handle = A)] mod a {}",
            "unknown argument `handle` for `#[module]`",
        ),
    ];
    for (source, fault) in table {
        let found = firsts(errors(expand(source)));
        assert_eq!(found, [fault], "{source}");
    }
}
