//! Where things are: the workspace root, the target directory and the features of the members, all
//! as cargo itself reports them (so that CARGO_TARGET_DIR and cargo's own settings are respected).

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::failure::{Failure, OrFail, Result};

/// Features that no common run switches on: they need a library that not every machine has.
const NEEDS_A_SYSTEM_LIBRARY: [&str; 1] = ["system-librdkafka"];

/// What `cargo metadata` knows about this workspace.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    metadata: Value,
}

impl Workspace {
    /// Asks cargo.
    ///
    /// # Errors
    /// Cargo cannot be run or says something else than expected.
    pub fn find() -> Result<Self> {
        let output = Command::new(cargo_program())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .or_fail(|| "run `cargo metadata`".into())?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!(
                "`cargo metadata` failed: {}",
                text.trim()
            )));
        }
        Self::from_metadata(&output.stdout)
    }

    fn from_metadata(json: &[u8]) -> Result<Self> {
        let metadata: Value = serde_json::from_slice(json)
            .or_fail(|| "read the answer of `cargo metadata`".into())?;
        let path = |field: &str| {
            metadata[field]
                .as_str()
                .map(PathBuf::from)
                .ok_or_else(|| Failure::new(format!("`cargo metadata` did not say its `{field}`")))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
            metadata,
        })
    }

    /// The folder of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of everything built or fetched.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Cargo, run in the workspace root.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root);
        command
    }

    /// `package/feature` of every member, without those that need a library of the system.
    ///
    /// Asked from cargo instead of written down, so that a new feature is linted from its first day.
    pub fn features(&self) -> Vec<String> {
        let mut found = Vec::new();
        for package in self.metadata["packages"].as_array().into_iter().flatten() {
            let Some(name) = package["name"].as_str() else {
                continue;
            };
            for feature in package["features"]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys())
            {
                if !NEEDS_A_SYSTEM_LIBRARY.contains(&feature.as_str()) && feature != "default" {
                    found.push(format!("{name}/{feature}"));
                }
            }
        }
        found.sort();
        found
    }
}

/// The cargo that runs us, else the one on the PATH.
fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Whether this is a CI run, where a tier that cannot run is a failure.
pub fn under_ci() -> bool {
    means_yes(env::var("CI").ok().as_deref())
}

fn means_yes(value: Option<&str>) -> bool {
    !matches!(value, None | Some("" | "0" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_features_come_from_cargo() {
        let json = br#"{"workspace_root":"/w","target_directory":"/t","packages":[
            {"name":"a","features":{"default":["x"],"x":[],"system-librdkafka":[]}},
            {"name":"b","features":{}},
            {"name":"c","features":{"y":[]}}]}"#;
        let workspace = Workspace::from_metadata(json).expect("the text above is complete");
        assert_eq!(workspace.root(), Path::new("/w"));
        assert_eq!(workspace.target(), Path::new("/t"));
        assert_eq!(workspace.features(), ["a/x", "c/y"]);
    }

    #[test]
    fn a_missing_path_is_named() {
        let failure = Workspace::from_metadata(br#"{"workspace_root":"/w"}"#)
            .expect_err("no target directory");
        assert!(
            failure.to_string().contains("target_directory"),
            "{failure}"
        );
    }

    #[test]
    fn ci_is_on_unless_denied() {
        assert!(means_yes(Some("true")));
        assert!(means_yes(Some("1")));
        for no in [None, Some(""), Some("0"), Some("false")] {
            assert!(!means_yes(no), "{no:?}");
        }
    }
}
