//! Modules import downward only (ARCHITECTURE.md has the table this test holds the sources to).

#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// From the leaves up; a module may use its own layer and those before it.
const LAYERS: [&[&str]; 6] = [
    &["error", "config", "time", "telemetry", "suggest", "fetch"],
    &[
        "topic", "codec", "fanout", "message", "record", "schema", "staging", "registry",
    ],
    &["admin", "agent", "extract", "middleware", "policy"],
    &["transport"],
    &["runtime", "web", "timer", "lifecycle"],
    &["app"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Modules named behind `crate::` in code; tests may reach anywhere.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let mut modules = BTreeSet::new();
    for line in code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for rest in line.split("crate::").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            modules.insert(name);
        }
    }
    modules
}

#[test]
fn modules_import_downward_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut upward = Vec::new();
    let mut checked = 0;
    for file in files {
        let inside = file.strip_prefix(&root).expect("found below it");
        let module = inside
            .iter()
            .next()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some(own) = layer(module.trim_end_matches(".rs")) else {
            continue;
        };
        if inside
            .components()
            .any(|part| part.as_os_str().to_string_lossy().contains("tests"))
        {
            continue;
        }
        checked += 1;
        let text = fs::read_to_string(&file).expect("the sources can be read");
        for import in imports(&text) {
            if layer(&import).is_some_and(|theirs| theirs > own) {
                upward.push(format!("{} uses `{import}`", inside.display()));
            }
        }
    }
    assert!(
        checked > 100,
        "only {checked} files found below {}",
        root.display()
    );
    assert!(
        upward.is_empty(),
        "imports that point upward:\n{}",
        upward.join("\n")
    );
}
