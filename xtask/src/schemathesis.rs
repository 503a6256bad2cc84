//! Requests that Schemathesis makes up from the demo's OpenAPI document, right and wrong ones: none may end in
//! a server error, or with an answer the document does not have.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::browser::Service;
use crate::failure::{Failure, OrFail, Result};
use crate::workspace::Workspace;
use crate::{process, python};

/// Pinned: newer checks must not turn a build red by themselves.
const TOOL: &str = "schemathesis==4.32.5";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance";
/// Of each operation and phase; more finds more and takes longer.
const EXAMPLES: &str = "15";
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const LIMIT: Duration = Duration::from_secs(4 * 60);

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("schemathesis");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let python = python::with(&folder.join("venv"), TOOL)?;
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--package", "demo"]);
    process::run(build, "building `demo`", BUILD_LIMIT)?;
    let program = workspace.target().join("debug/demo");
    let log = folder.join("demo.log");
    let service = Service::start(&program, &log)?;
    let mut judge = Command::new(python.with_file_name("schemathesis"));
    judge
        .current_dir(&folder)
        .arg("run")
        .arg(format!("{}openapi.json", service.url))
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES])
        .args(["--phases", "examples,coverage,fuzzing"])
        // The same requests every time.
        .args([
            "--seed",
            "1",
            "--workers",
            "1",
            "--generation-database",
            "none",
        ]);
    let verdict = process::run(judge, "Schemathesis", LIMIT);
    service.stop();
    verdict.map_err(|failure| {
        if failure.is_interrupted() {
            return failure;
        }
        Failure::new(format!("{failure}; the demo's log is {}", log.display()))
    })
}
