//! The documents show code that is compiled and tested, and nothing else.
//!
//! A fenced block of Rust stands below a comment that names a file, or a region of one between
//! `// [name]` and `// [/name]`. After a change of the code: `BLESS=1 cargo test -p cookbook --test documents`.

#![expect(
    clippy::unwrap_used,
    reason = "a document that cannot be read is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use citizenk::{Flags, Settings};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let mut documents: Vec<PathBuf> = [root(), root().join("docs")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.sort();
    documents
}

/// The text of `FILE` or `FILE#region`, without what tests add to the file and without indentation.
fn code(source: &str) -> String {
    let (file, region) = source.split_once('#').unwrap_or((source, ""));
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{source}: {e}"));
    let lines: Vec<&str> = if region.is_empty() {
        text.lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .collect()
    } else {
        let (begin, end) = (format!("// [{region}]"), format!("// [/{region}]"));
        let mut lines = text.lines().skip_while(|line| line.trim() != begin);
        assert!(lines.next().is_some(), "{source}: no such region");
        lines.take_while(|line| line.trim() != end).collect()
    };
    let indented = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = indented
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let text: Vec<&str> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or(""))
        .collect();
    format!("{}\n", text.join("\n").trim())
}

/// The document with every block of Rust as the sources have it.
fn filled(name: &str, text: &str) -> String {
    let mut out = String::new();
    let mut source = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let comment = line
            .strip_prefix("<!-- ")
            .and_then(|line| line.strip_suffix(" -->"));
        if line.starts_with("```rust") {
            assert_eq!(
                line, "```rust",
                "{name}: a block is Rust that compiles, or no Rust"
            );
            let source: &str = source.take().unwrap_or_else(|| {
                panic!("{name}: a block of Rust without a comment that names its source")
            });
            out.push_str(&code(source));
            for _ in lines.by_ref().take_while(|line| *line != "```") {}
            out.push_str("```\n");
        } else if let Some(comment) = comment.filter(|comment| comment.contains(".rs")) {
            source = Some(comment);
        }
    }
    out
}

#[test]
fn blocks_of_rust_are_the_sources() {
    let mut stale = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let filled = filled(&name, &text);
        if filled != text {
            if std::env::var_os("BLESS").is_some() {
                fs::write(&path, filled).unwrap();
            } else {
                stale.push(name);
            }
        }
    }
    assert!(
        stale.is_empty(),
        "run with BLESS=1: {stale:?} show other code than the sources"
    );
}

#[test]
fn settings_files_are_accepted() {
    let text = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let files: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(!files.is_empty());
    // Secrets are not in the file.
    let secrets = ["KAFKA_SASL_PASSWORD", "SCHEMA_REGISTRY_PASSWORD"];
    let env = BTreeMap::from(secrets.map(|name| (name.to_owned(), "x".to_owned())));
    for file in files {
        if let Err(errors) = Settings::resolve(Flags::default(), &env, Some(("x.toml", file))) {
            panic!("{file}\n{errors:?}");
        }
    }
}

#[test]
fn links_lead_somewhere() {
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || link.contains("://") {
                continue;
            }
            let target = path.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link}", path.display());
        }
    }
}

/// Every test that ARCHITECTURE.md names as a proof exists.
#[test]
fn named_tests_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, text) = text.split_once("## Invariants").unwrap();
    let (table, _) = text.split_once("\n## ").unwrap();
    let mut sources = String::new();
    for folder in ["citizenk", "examples", "faults"] {
        read_all(&root().join(folder), &mut sources);
    }
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    for proof in rows.flat_map(|row| {
        row.split(" | ")
            .nth(1)
            .unwrap()
            .split('`')
            .skip(1)
            .step_by(2)
    }) {
        assert!(
            sources.contains(&format!("fn {proof}(")),
            "there is no test `{proof}`"
        );
    }
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
