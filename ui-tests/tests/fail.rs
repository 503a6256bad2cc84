//! Mistakes and what a user is told about them.
//!
//! In: `tests/ui/<attribute>/fail/<mistake>.rs`. On the compiler that CI uses the text is compared with
//! the `.stderr` beside the case; on another one only that the case does not compile, because rustc's
//! own words change. `CITIZENK_UI=1` compares on any compiler, `CITIZENK_UI_ONLY=agent/fail/no_topics`
//! runs cases whose path contains that, `TRYBUILD=overwrite` writes the texts.

#![expect(clippy::unwrap_used, reason = "without its cases the test has failed")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The compiler whose words are in the `.stderr` files.
const COMPILER: &str = "rustc 1.95.";
/// Set for the run in which nothing is compared.
const COPIES: &str = "CITIZENK_UI_COPIES";

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")
}

fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn compares() -> bool {
    if std::env::var_os("CITIZENK_UI").is_some_and(|value| value == "1") {
        return true;
    }
    let version = Command::new(rustc()).arg("--version").output().unwrap();
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

/// The C libraries of the Kafka client are linked, never checked; without this they would be built a
/// second time for trybuild's own target directory, which takes longer than everything else here. Cargo
/// lets a configuration stand in for the build script of a crate that links a library.
fn skip_c_libraries() {
    // What `openssl-sys` finds out about OpenSSL 3.
    const OPENSSL: &str = r#"["openssl", "ossl101", "ossl102", "ossl102f", "ossl102h", "ossl110", "ossl110f", "ossl110g", "ossl110h", "ossl111", "ossl111b", "ossl111c", "ossl111d", "ossl300", "ossl320", "ossl330", "ossl340", "ossl350"]"#;
    let output = Command::new(rustc()).arg("-vV").output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let host = output
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let mut config = String::new();
    for library in ["rdkafka", "zstd", "z"] {
        config += &format!("[target.{host}.{library}]\nrustc-link-lib = []\n");
    }
    config += &format!("[target.{host}.openssl]\nrustc-cfg = {OPENSSL}\n");
    // Cargo reads it on its way up from trybuild's project.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("tests/trybuild/.cargo");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), config).unwrap();
}

fn run(root: &Path) {
    skip_c_libraries();
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
        assert!(
            source.starts_with("// "),
            "{}: why is it wrong?",
            case.display()
        );
        assert!(
            path.with_extension("stderr").exists(),
            "{}: no text; TRYBUILD=overwrite writes it",
            case.display()
        );
    }
}
