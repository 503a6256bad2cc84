//! AsyncAPI documents of the examples, judged by the official parser.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};
use crate::workspace::Workspace;
use crate::{browser, process};

pub(crate) const NEEDS: [(&str, &str); 2] = [browser::NEEDS[0], browser::NEEDS[1]];
/// Topics and agents; a bridge; messages of clients.
const EXAMPLES: [&str; 2] = ["demo", "geo-stream"];
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const LIMIT: Duration = Duration::from_secs(2 * 60);

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("asyncapi");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let from = workspace.root().join("xtask/asyncapi");
    browser::packages(&from, &folder)?;
    let judge = folder.join("check.cjs");
    fs::copy(from.join("check.cjs"), &judge).or_fail(|| format!("write {}", judge.display()))?;
    let documents = EXAMPLES
        .iter()
        .map(|example| print_document(workspace, &folder, example))
        .collect::<Result<Vec<PathBuf>>>()?;
    let mut check = Command::new("node");
    check.current_dir(&folder).arg(&judge).args(&documents);
    process::run(check, "the AsyncAPI parser", LIMIT)?;
    println!(
        "asyncapi-check: {} are valid AsyncAPI 3.0",
        EXAMPLES.join(", ")
    );
    Ok(())
}

fn print_document(workspace: &Workspace, folder: &Path, example: &str) -> Result<PathBuf> {
    let document = folder.join(format!("{example}.json"));
    let name = document.display();
    let file = File::create(&document).or_fail(|| format!("create {name}"))?;
    let mut print = workspace.cargo();
    print
        .args(["run", "-q", "-p", example, "--", "asyncapi"])
        .stdout(file);
    process::run(print, &format!("`{example} asyncapi`"), BUILD_LIMIT)?;
    let text = fs::read(&document).or_fail(|| format!("read {name}"))?;
    let json: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("{name} is not JSON: {error}")))?;
    if has_content(&json) {
        return Ok(document);
    }
    Err(Failure::new(format!(
        "{name} is not an AsyncAPI 3.0 document with channels and operations"
    )))
}

/// What a parser would let pass: a document that says nothing.
fn has_content(json: &Value) -> bool {
    let filled = |name: &str| json[name].as_object().is_some_and(|all| !all.is_empty());
    json["asyncapi"] == "3.0.0" && filled("channels") && filled("operations")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_document_with_content_counts() {
        let good = json!({"asyncapi": "3.0.0", "channels": {"a": {}}, "operations": {"b": {}}});
        assert!(has_content(&good));
        for (part, other) in [
            ("asyncapi", json!("2.6.0")),
            ("channels", json!({})),
            ("operations", json!(null)),
        ] {
            let mut bad = good.clone();
            bad[part] = other;
            assert!(!has_content(&bad), "{bad}");
        }
    }

    #[test]
    fn the_lock_file_names_no_registry() {
        let lock = include_str!("../asyncapi/package-lock.json");
        assert!(!lock.contains("://"));
    }
}
