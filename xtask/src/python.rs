//! Pythons of our own, with one pinned package each, below the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::{BOOTSTRAP_VARIABLE, Kafka};
use crate::real::{LIBRARY, Tests};
use crate::registry::Registry;
use crate::workspace::Workspace;
use crate::{process, real};

pub(crate) const INSTALL_PYTHON: &str = "Python 3.10 or later with venv (Debian: python3-venv)";
const LIMIT: Duration = Duration::from_secs(5 * 60);
/// Pinned, as every tool is.
const CLIENT: &str = "confluent-kafka==2.12.1";
const TEST: &str = "a_group_moves_from_python_to_ours_and_loses_nothing";

/// The same with what speaks to schema registries.
const SCHEMAS_CLIENT: &str = "confluent-kafka[avro,json,schemaregistry]==2.12.1";
const SCHEMAS: Tests = Tests {
    package: LIBRARY,
    features: "testing,avro,registry",
    target: &["--test", "real_schemas"],
};

/// The example on a Kafka and a registry that are not in its process.
const AVRO_ORDERS: Tests = Tests {
    package: "avro-orders",
    features: "",
    target: &["--test", "process", "real"],
};

/// The Python of an environment that has the package; made once per version of it.
pub(crate) fn with(environment: &Path, package: &str) -> Result<PathBuf> {
    let python = environment.join("bin/python");
    let done = environment.join("installed");
    if fs::read_to_string(&done).is_ok_and(|text| text == package) {
        return Ok(python);
    }
    let system = process::find_program("python3", INSTALL_PYTHON)?;
    eprintln!("installing {package} into {}", environment.display());
    let mut make = Command::new(system);
    make.args(["-m", "venv", "--clear"])
        .arg(environment)
        .stdout(std::io::stderr());
    process::run(make, "`python3 -m venv`", LIMIT).map_err(|failure| {
        if failure.is_interrupted() {
            failure
        } else {
            Failure::new(format!("{failure}; install {INSTALL_PYTHON}"))
        }
    })?;
    let mut install = Command::new(&python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            package,
        ])
        .stdout(std::io::stderr());
    process::run(install, &format!("`pip install {package}`"), LIMIT)?;
    fs::write(&done, package).or_fail(|| format!("write {}", done.display()))?;
    Ok(python)
}

/// One group of a confluent-kafka-python member and ours.
pub(crate) fn member(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("python-member");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let python = with(&folder.join("venv"), CLIENT)?;
    real::GROUPS.build(workspace, "the test of a mixed group")?;
    let kafka = Kafka::start_temporary(workspace, 1)?;
    let mut test = real::GROUPS.command(workspace);
    test.args(["--", "--exact", TEST])
        .env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
        .env("CITIZENK_REAL_KAFKA", "1")
        .env("CITIZENK_PYTHON", python);
    process::run(test, "the test of a mixed group", LIMIT)
}

/// Records between confluent-kafka-python and a service of ours, with a real schema registry.
pub(crate) fn schemas(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target().join("python-schemas");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let python = with(&folder.join("venv"), SCHEMAS_CLIENT)?;
    SCHEMAS.build(workspace, "the tests of schemas")?;
    AVRO_ORDERS.build(workspace, "the example avro-orders")?;
    let registry = Registry::start_temporary(workspace)?;
    let kafka = Kafka::start_temporary(workspace, 1)?;
    let mut test = SCHEMAS.command(workspace);
    test.env("CITIZENK_PYTHON", python);
    match kcat() {
        Some(kcat) => drop(test.env("CITIZENK_KCAT", kcat)),
        None => eprintln!(
            "left out: `kcat -s avro` on what we write; no `kcat` on the PATH is built with Avro (it needs libserdes, which no package here has)"
        ),
    }
    for (mut test, what) in [
        (test, "the tests of schemas"),
        (AVRO_ORDERS.command(workspace), "the example avro-orders"),
    ] {
        test.env(BOOTSTRAP_VARIABLE, kafka.bootstrap())
            .env("CITIZENK_REAL_KAFKA", "1")
            .env("CITIZENK_REAL_REGISTRY", registry.url());
        process::run(test, what, LIMIT)?;
    }
    Ok(())
}

/// One that knows Avro; what distributions pack does not.
fn kcat() -> Option<&'static str> {
    let said = Command::new("kcat").arg("-V").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.contains("Avro").then_some("kcat")
}
