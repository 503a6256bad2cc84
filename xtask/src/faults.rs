//! The fault tier: builds the program and runs it; what it takes is its own.

use std::process::Command;
use std::time::Duration;

use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

const PACKAGE: &str = "citizenk-faults";
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Each row has a limit of its own; this one is for a run whose rows are hours.
const LIMIT: Duration = Duration::from_secs(12 * 60 * 60);

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut build = workspace.cargo();
    build.args(["build", "--quiet", "--package", PACKAGE]);
    process::run(build, "building the fault tests", BUILD_LIMIT)?;
    let mut faults = Command::new(workspace.target().join("debug").join(PACKAGE));
    faults.current_dir(workspace.root()).args(arguments);
    process::run(faults, "the fault tests", LIMIT)
}
