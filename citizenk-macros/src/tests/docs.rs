//! The documentation's tables of arguments are the tables that parse them.

use std::fmt::Write as _;

use crate::attr::keys::{Args, Table};
use crate::attr::{agent, hook, message, module, route, router, stream, timer};

const BEGIN: &str = "<!-- arguments -->\n";

fn check<A: Args>() {
    let table: Table<A> = A::TABLE;
    let mut expected = "| argument | meaning |\n|---|---|\n".to_owned();
    for (_, example, doc) in table.rows() {
        let _ = writeln!(expected, "| `{example}` | {doc} |");
    }
    let path = format!("{}/docs/{}.md", env!("CARGO_MANIFEST_DIR"), table.attribute);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, found) = text.split_once(BEGIN).unwrap_or((&text, ""));
    if std::env::var_os("CITIZENK_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "{path}: CITIZENK_BLESS=1 writes the table");
}

#[test]
fn documentation_lists_every_argument() {
    check::<agent::AgentArgs>();
    check::<route::RouteArgs>();
    check::<router::TopicRouterArgs>();
    check::<router::BroadcastRouterArgs>();
    check::<stream::WebsocketInArgs>();
    check::<timer::EveryArgs>();
    check::<timer::AtArgs>();
    check::<hook::HookArgs>();
    check::<message::MessageArgs>();
    check::<module::ModuleArgs>();
}
