//! The demo's OpenAPI document, judged by a validator that is not ours.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};
use crate::workspace::Workspace;
use crate::{process, python};

/// Pinned: a newer validator must not turn a build red by itself.
const VALIDATOR: &str = "openapi-spec-validator==0.9.0";
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const LIMIT: Duration = Duration::from_secs(5 * 60);

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("openapi");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let python = python::with(&folder.join("venv"), VALIDATOR)?;
    let document = folder.join("demo.json");
    print_document(workspace, &document)?;
    let paths = check_shape(&document)?;

    let mut check = Command::new(python);
    check
        .args([
            "-m",
            "openapi_spec_validator",
            "--schema",
            "3.1",
            "--validation-errors",
            "all",
        ])
        .arg(&document);
    process::run(check, "the OpenAPI validator", LIMIT)?;
    println!(
        "openapi-check: {} is valid OpenAPI 3.1 with {paths} paths",
        document.display()
    );
    Ok(())
}

fn print_document(workspace: &Workspace, document: &Path) -> Result<()> {
    let file = File::create(document).or_fail(|| format!("create {}", document.display()))?;
    let mut demo = workspace.cargo();
    demo.args(["run", "-q", "-p", "demo", "--", "openapi"])
        .stdout(file);
    process::run(demo, "`demo openapi`", BUILD_LIMIT)
}

/// What a validator would let pass: no document at all, or one without a path.
fn check_shape(document: &Path) -> Result<usize> {
    let name = document.display();
    let text = fs::read(document).or_fail(|| format!("read {name}"))?;
    if text.is_empty() {
        return Err(Failure::new(
            "`demo openapi` printed nothing; it has to print the OpenAPI document",
        ));
    }
    let json: Value = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(format!("{name} is not JSON: {error}")))?;
    paths(&json)
        .ok_or_else(|| Failure::new(format!("{name} is not an OpenAPI 3.1 document with paths")))
}

fn paths(json: &Value) -> Option<usize> {
    let version = json["openapi"].as_str()?;
    let count = json["paths"].as_object()?.len();
    (version.starts_with("3.1.") && count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_document_with_paths_counts() {
        assert_eq!(
            paths(&json!({"openapi": "3.1.0", "paths": {"/info": {}}})),
            Some(1)
        );
        assert_eq!(paths(&json!({"openapi": "3.1.0", "paths": {}})), None);
        assert_eq!(
            paths(&json!({"openapi": "3.0.3", "paths": {"/info": {}}})),
            None
        );
        assert_eq!(paths(&json!([])), None);
    }
}
