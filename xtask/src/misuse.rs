//! Compile-fail tests: each mistake of a user and what rustc says about it.

use std::path::Path;
use std::time::Duration;

use crate::failure::Result;
use crate::process;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(crate) fn run(workspace: &Workspace, bless: bool, only: Option<&Path>) -> Result<()> {
    let mut command = workspace.cargo();
    command
        .args(["test", "-p", "ui-tests"])
        .env("CITIZENK_UI", "1");
    if bless {
        command.env("TRYBUILD", "overwrite");
    }
    if let Some(path) = only {
        command.env("CITIZENK_UI_ONLY", path);
    }
    process::run(command, "the compile-fail tests", LIMIT)
}
