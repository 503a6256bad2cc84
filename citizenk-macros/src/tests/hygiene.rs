//! Generated code stands on the path the user gave and on `::core`, whatever else is in scope.

use proc_macro2::{TokenStream, TokenTree};

use super::expand;

/// Names that mean something else where a user says so.
const BARE: &[&str] = &[
    "std", "core", "alloc", "Ok", "Err", "Some", "None", "Option", "Result", "Vec", "String",
    "Box", "Into", "From", "Send", "drop",
];

const SOURCES: &[&str] = &[
    r#"#[agent(
        crate = elsewhere, topics = [ORDERS, REFUNDS.input()], batch_size = 2, batch_timeout = "1s",
        on_decode_error = skip, on_error = retry(5, then = dead_letter(DLQ)), on_produce_error = stop,
        timeout = "20s", concurrency = 8, blocking = true, group = "x", start = latest, after = [cache],
        sends = [ALERTS]
    )] async fn orders(b: Batch<Order>, s: State<Db>) -> Outcome { x() }"#,
    r#"#[agent(crate = elsewhere, topics = [ORDERS], output = ALERTS, group = none)]
       async fn orders(b: Event<Order>, k: Key<u32>) -> Alert { x() }"#,
    r#"#[agent(crate = elsewhere)] fn broken(b: Event<Order>) {}"#,
    r#"#[route(crate = elsewhere, get = "/a", tag = "t")] async fn a(p: Producer, j: Json<u32>) -> Answer { x() }"#,
    r#"#[route(crate = elsewhere, get = "/a")] async fn a() { x() }"#,
    r#"#[repeat_every("5s", crate = elsewhere, on = one)] async fn a(s: State<Db>) { x() }"#,
    r#"#[repeat_at("0 6 * * *", tz = "UTC", crate = elsewhere)] async fn a(s: State<Db>) { x() }"#,
    r#"#[on_event(startup, crate = elsewhere)] async fn a(s: State<Db>) { x() }"#,
    r#"#[on_event(revoked, crate = elsewhere)] async fn a(s: Partitions) { x() }"#,
    r#"#[message(crate = elsewhere)] struct A<T> { a: T }"#,
    r#"#[module(crate = elsewhere, prefix = "/a", on_error = skip)] mod a { #[elsewhere::route(get = "/a")] async fn a() { x() } }"#,
];

fn walk(tokens: TokenStream, source: &str) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => walk(group.stream(), source),
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                assert_ne!(name, "citizenk", "the default crate, in {source}");
                let behind_a_path = index >= 2
                    && tokens[index - 2..index]
                        .iter()
                        .all(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ':'));
                assert!(
                    behind_a_path || !BARE.contains(&name.as_str()),
                    "bare `{name}`, in {source}"
                );
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                assert!(!text.starts_with("\"::citizenk"), "{text} in {source}");
            }
            TokenTree::Punct(_) => {}
        }
    }
}

#[test]
fn generated_code_names_nothing_of_the_users_scope() {
    for source in SOURCES {
        walk(expand(source), source);
    }
}
