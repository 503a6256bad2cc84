//! Mistakes and what a user is told about them.
//!
//! In: `tests/ui/<attribute>/fail/<mistake>.rs`. On the compiler that CI uses the text is compared with
//! the `.stderr` beside the case; on another one only that the case does not compile, because rustc's
//! own words change. `CITIZENK_UI=1` compares on any compiler, `CITIZENK_UI_ONLY=agent/fail/no_topics`
//! runs cases whose path contains that, `TRYBUILD=overwrite` writes the texts.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler whose words are in the `.stderr` files.
const COMPILER: &str = "rustc 1.95.";
/// Set for the run in which nothing is compared.
const COPIES: &str = "CITIZENK_UI_COPIES";

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

fn compares() -> bool {
    if std::env::var_os("CITIZENK_UI").is_some_and(|value| value == "1") {
        return true;
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap();
    String::from_utf8_lossy(&version.stdout).starts_with(COMPILER)
}

/// The `fail` cases below `root`, relative to it.
fn failing(root: &Path) -> Vec<PathBuf> {
    let only = std::env::var("CITIZENK_UI_ONLY").unwrap_or_default();
    let mut found = Vec::new();
    for attribute in std::fs::read_dir(root).unwrap() {
        let folder = attribute.unwrap().path().join("fail");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        let cases = paths.filter(|path| path.extension().is_some_and(|e| e == "rs"));
        let relative = cases.map(|path| path.strip_prefix(root).unwrap().to_owned());
        found.extend(relative.filter(|path| path.to_string_lossy().contains(&only)));
    }
    found.sort();
    assert!(!found.is_empty(), "no case matches `{only}`");
    found
}

fn run(root: &Path) {
    let tests = trybuild::TestCases::new();
    for case in failing(root) {
        tests.compile_fail(root.join(case));
    }
}

#[test]
fn mistakes_are_explained() {
    if let Some(copies) = std::env::var_os(COPIES) {
        return run(Path::new(&copies));
    }
    if compares() {
        return run(&cases());
    }
    // trybuild compares with what is there, and where nothing is there it writes: a case that compiles
    // fails either way. So the cases are copied without their texts and it is told to write.
    let copies = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    let _ = std::fs::remove_dir_all(&copies);
    for case in failing(&cases()) {
        let copy = copies.join(&case);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(cases().join(&case), copy).unwrap();
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "mistakes_are_explained", "--nocapture"])
        .env(COPIES, &copies)
        .env("TRYBUILD", "overwrite")
        .status()
        .unwrap();
    assert!(status.success(), "a case that should not compile does");
}

/// Every case says why it is wrong, and its text is there.
#[test]
fn cases_are_complete() {
    for case in failing(&cases()) {
        let path = cases().join(&case);
        let source = std::fs::read_to_string(&path).unwrap();
        assert!(source.starts_with("// "), "{}: why is it wrong?", case.display());
        assert!(
            path.with_extension("stderr").exists(),
            "{}: no text; TRYBUILD=overwrite writes it",
            case.display()
        );
    }
}
