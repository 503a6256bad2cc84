//! The pages of the examples, in a real browser: `examples/*/ui/tests`, each suite against its own service.
//!
//! In: the workspace's examples, `xtask/browser/package.json` with its lock file. Out: a verdict, and
//! screenshots and logs below the target directory. Node, npm and Chromium come from the system; as root with
//! apt-get they are installed, unless CI is denied.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::{self, BOOTSTRAP_VARIABLE, Kafka};
use crate::process;
use crate::workspace::Workspace;

/// Debian's names of the programs are the names of their packages.
pub(crate) const NEEDS: [(&str, &str); 3] = [
    ("node", "Node.js 20 or later (Debian: nodejs)"),
    ("npm", "npm (Debian: npm)"),
    (
        "chromium",
        "Chromium (Debian: chromium), or set CHROMIUM to its path",
    ),
];

const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
const TYPES_LIMIT: Duration = Duration::from_secs(2 * 60);
const START_LIMIT: Duration = Duration::from_secs(60);
const SUITE_LIMIT: Duration = Duration::from_secs(9 * 60);
/// Of one file of tests, in milliseconds; within it each wait has its own.
const TEST_LIMIT: &str = "240000";
/// Files of tests: most of their time they wait for what comes.
const BESIDE_EACH_OTHER: &str = "--test-concurrency=2";
/// What every service logs as soon as it can be asked; its address follows.
const SERVING: &str = "serving HTTP address=";

/// What one run is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the suite of this example
    #[arg(long, value_name = "NAME")]
    example: Option<String>,
    /// Only tests whose name fits this pattern
    #[arg(long, value_name = "PATTERN")]
    test: Option<String>,
    /// Copy the screenshots that documents show to `docs/images`
    #[arg(long)]
    bless: bool,
    /// Only the tests that want a real Kafka (`examples/*/ui/tests/real`), with one
    #[arg(long)]
    real: bool,
}

impl Options {
    pub(crate) fn all() -> Self {
        Self {
            example: None,
            test: None,
            bless: false,
            real: false,
        }
    }

    pub(crate) fn real() -> Self {
        Self {
            real: true,
            ..Self::all()
        }
    }
}

/// The tests of one example's page.
#[derive(Debug)]
struct Suite {
    /// Of the package and of its program.
    name: String,
    /// `examples/NAME/ui`.
    page: PathBuf,
    tests: Vec<PathBuf>,
}

impl Suite {
    /// The variable that tells the tests where their service is.
    fn variable(&self, of: &str) -> String {
        format!("{}_{of}", self.name.to_uppercase().replace('-', "_"))
    }
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tests = if options.real { "tests/real" } else { "tests" };
    let mut suites = suites(&workspace.root().join("examples"), tests)?;
    suites.retain(|suite| {
        let only = options.example.as_deref();
        only.is_none_or(|only| suite.name == only)
    });
    if suites.is_empty() {
        return Err(Failure::new(
            "no example has tests of its page (examples/NAME/ui/tests)",
        ));
    }
    // What has to be fetched is missed before minutes of building, not after.
    let classes = options
        .real
        .then(|| kafka::classes(workspace))
        .transpose()?;
    let folder = workspace.target().join("browser");
    fs::create_dir_all(&folder).or_fail(|| format!("create {}", folder.display()))?;
    let chromium = programs()?;
    packages(&workspace.root().join("xtask/browser"), &folder)?;
    for suite in &suites {
        types(suite, &folder)?;
    }
    for suite in &suites {
        println!("browser: building `{}`", suite.name);
        let mut build = workspace.cargo();
        build.args(["build", "--quiet", "--package", &suite.name]);
        process::run(build, &format!("building `{}`", suite.name), BUILD_LIMIT)?;
    }
    let mut surroundings = Vec::new();
    let mut _running = None;
    if let Some(classes) = classes {
        let kafka = Kafka::start_temporary(workspace, 1)?;
        surroundings.push((BOOTSTRAP_VARIABLE, kafka.bootstrap().into()));
        surroundings.push(("KAFKA_CLASSES", classes));
        _running = Some(kafka);
    }
    for suite in &suites {
        judge(workspace, suite, &folder, &chromium, options, &surroundings)?;
    }
    Ok(())
}

/// Every example whose page has such tests, by name.
fn suites(examples: &Path, tests: &str) -> Result<Vec<Suite>> {
    let mut suites = Vec::new();
    for name in names(examples)? {
        let page = examples.join(&name).join("ui");
        let folder = page.join(tests);
        if !folder.is_dir() {
            continue;
        }
        let tests: Vec<PathBuf> = names(&folder)?
            .into_iter()
            .filter(|file| file.ends_with(".test.mjs") || file.ends_with(".test.js"))
            .map(|file| folder.join(file))
            .collect();
        if !tests.is_empty() {
            suites.push(Suite { name, page, tests });
        }
    }
    Ok(suites)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let doing = || format!("read {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).or_fail(doing)? {
        names.extend(entry.or_fail(doing)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn chromium() -> Result<PathBuf> {
    let (name, install) = NEEDS[2];
    match env::var_os("CHROMIUM").filter(|path| !path.is_empty()) {
        Some(path) if Path::new(&path).is_file() => Ok(path.into()),
        Some(path) => Err(Failure::new(format!(
            "CHROMIUM is `{}`, which is no file",
            path.display()
        ))),
        None => process::find_program(name, install),
    }
}

/// Whether missing programs may be installed here: as root, with apt-get, where CI is not denied.
pub(crate) fn may_install() -> bool {
    let denied = matches!(env::var("CI").as_deref(), Ok("0" | "false"));
    !denied && nix::unistd::geteuid().is_root() && process::find_program("apt-get", "").is_ok()
}

/// Sees to node, npm and the browser, whose path it returns.
fn programs() -> Result<PathBuf> {
    let mut missing = Vec::new();
    for (name, install) in &NEEDS[..2] {
        if let Err(failure) = process::find_program(name, install) {
            missing.push((if *name == "node" { "nodejs" } else { name }, failure));
        }
    }
    if let Err(failure) = chromium() {
        missing.push(("chromium", failure));
    }
    let Some((_, first)) = missing.first() else {
        return chromium();
    };
    if !may_install() {
        return Err(first.clone());
    }
    let packages: Vec<&str> = missing.iter().map(|(package, _)| *package).collect();
    println!("browser: installing {}", packages.join(", "));
    let mut update = Command::new("apt-get");
    update.args(["update", "-q"]);
    process::run(update, "`apt-get update`", INSTALL_LIMIT)?;
    let mut install = Command::new("apt-get");
    install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(&packages);
    process::run(install, "`apt-get install`", INSTALL_LIMIT)?;
    chromium()
}

/// Packages of npm as the lock file in `from` has them; once per lock file.
pub(crate) fn packages(from: &Path, folder: &Path) -> Result<()> {
    let read =
        |path: &Path| fs::read_to_string(path).or_fail(|| format!("read {}", path.display()));
    let lock = read(&from.join("package-lock.json"))?;
    let done = folder.join("node_modules/installed");
    if fs::read_to_string(&done).is_ok_and(|text| text == lock) {
        return Ok(());
    }
    println!("installing packages of npm into {}", folder.display());
    for name in ["package.json", "package-lock.json"] {
        let to = folder.join(name);
        fs::copy(from.join(name), &to).or_fail(|| format!("write {}", to.display()))?;
    }
    let mut install = Command::new("npm");
    install
        .current_dir(folder)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    process::run(install, "`npm ci`", INSTALL_LIMIT)?;
    fs::write(&done, lock).or_fail(|| format!("write {}", done.display()))
}

/// Checks the types that comments of the page's modules declare.
fn types(suite: &Suite, folder: &Path) -> Result<()> {
    let project = suite.page.join("tsconfig.json");
    if !project.is_file() {
        return Ok(());
    }
    let mut check = Command::new("node");
    check
        .arg(folder.join("node_modules/typescript/bin/tsc"))
        .args(["--noEmit", "--project"])
        .arg(project);
    process::run(
        check,
        &format!("`tsc` on the page of `{}`", suite.name),
        TYPES_LIMIT,
    )
}

/// Runs the tests of a page against a service that is started for them.
fn judge(
    workspace: &Workspace,
    suite: &Suite,
    folder: &Path,
    chromium: &Path,
    options: &Options,
    surroundings: &[(&str, OsString)],
) -> Result<()> {
    let program = workspace.target().join("debug").join(&suite.name);
    let shots = folder.join(&suite.name);
    fs::create_dir_all(&shots).or_fail(|| format!("create {}", shots.display()))?;
    let service = Service::start(&program, &folder.join(format!("{}.log", suite.name)))?;
    println!("browser: `{}` is at {}", suite.name, service.url);
    let mut tests = Command::new("node");
    tests
        .args(["--test", BESIDE_EACH_OTHER, "--test-reporter=spec"])
        .arg(format!("--test-timeout={TEST_LIMIT}"))
        .args(
            options
                .test
                .iter()
                .map(|test| format!("--test-name-pattern={test}")),
        )
        .args(&suite.tests)
        .envs(surroundings.iter().map(|(name, value)| (name, value)))
        .env("NODE_PATH", folder.join("node_modules"))
        .env("CHROMIUM", chromium)
        .env("SHOTS", &shots)
        .env(suite.variable("URL"), &service.url)
        .env(suite.variable("BIN"), &program);
    if options.bless {
        let images = workspace.root().join("docs/images");
        fs::create_dir_all(&images).or_fail(|| format!("create {}", images.display()))?;
        tests.env("DOCS", images);
    }
    let verdict = process::run(
        tests,
        &format!("the tests of `{}`", suite.name),
        SUITE_LIMIT,
    );
    service.stop();
    verdict.map_err(|failure| {
        if failure.is_interrupted() {
            return failure;
        }
        Failure::new(format!(
            "{failure}; screenshots and logs are in {}",
            folder.display()
        ))
    })
}

/// Whether a service of ours gets this variable: what a program needs to run at all, and no settings, which would
/// let tests work on the clusters and files of whoever starts them.
fn is_kept(name: &OsStr) -> bool {
    const KEPT: [&str; 6] = [
        "PATH",
        "HOME",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "LLVM_PROFILE_FILE",
        "RUST_BACKTRACE",
    ];
    KEPT.iter().any(|kept| name == *kept)
}

/// A service of ours on a free port; it ends with this.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
}

impl Service {
    pub(crate) fn start(program: &Path, log: &Path) -> Result<Self> {
        let name = program.display();
        let file = File::create(log).or_fail(|| format!("create {}", log.display()))?;
        let both = file
            .try_clone()
            .or_fail(|| format!("share {}", log.display()))?;
        let child = Command::new(program)
            .env_clear()
            .envs(env::vars_os().filter(|(name, _)| is_kept(name)))
            .env("CITIZENK_HTTP", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(both)
            .spawn()
            .or_fail(|| format!("start {name}"))?;
        let mut service = Self {
            child,
            url: String::new(),
        };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            if let Some(address) = address(&text) {
                service.url = format!("http://{address}/");
                return Ok(service);
            }
            let ended = service
                .child
                .try_wait()
                .or_fail(|| format!("wait for {name}"))?;
            if ended.is_some() || Instant::now() >= deadline {
                return Err(Failure::new(format!(
                    "{name} serves nothing; it said:\n{}",
                    text.trim()
                )));
            }
            process::pause()?;
        }
    }

    /// Ends it; a second time it does nothing.
    pub(crate) fn stop(self) {}
}

impl Drop for Service {
    fn drop(&mut self) {
        process::end(
            &[self.child.id()],
            process::is_running,
            Duration::from_secs(10),
        );
        if let Err(error) = self.child.wait() {
            eprintln!("warning: collecting a service: {error}");
        }
    }
}

/// The address in what a service logged, once its line is complete.
fn address(log: &str) -> Option<&str> {
    let (_, rest) = log.split_once(SERVING)?;
    let (address, _) = rest.split_once('\n')?;
    address.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_a_whole_line() {
        let line = "2026 INFO citizenk::web::server: serving HTTP address=127.0.0.1:357";
        assert_eq!(address(line), None);
        let more = format!("first\n{line}93\nlast");
        assert_eq!(address(&more), Some("127.0.0.1:35793"));
        assert_eq!(address("nothing\n"), None);
    }

    #[test]
    fn services_get_nobodys_settings() {
        let kept = |name: &str| is_kept(OsStr::new(name));
        assert!(kept("PATH") && kept("TMPDIR"));
        for setting in [
            "KAFKA_SOURCE_SERVER_URL",
            "CITIZENK_PREFIX",
            "MAPPINGS_PATH",
            "RUST_LOG",
        ] {
            assert!(!kept(setting), "{setting}");
        }
    }

    #[test]
    fn every_page_with_tests_is_a_suite() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let real = suites(&examples, "tests/real").expect("the examples are there");
        assert!(real.iter().any(|suite| suite.name == "replicator"));
        let suites = suites(&examples, "tests").expect("the examples are there");
        let found = suites.iter().find(|suite| suite.name == "replicator");
        let suite = found.expect("the Replicator has a page with tests");
        assert!(suite.tests.len() > 2 && suite.page.join("index.html").is_file());
        assert_eq!(suite.variable("URL"), "REPLICATOR_URL");
        let other = Suite {
            name: "geo-stream".into(),
            page: PathBuf::new(),
            tests: Vec::new(),
        };
        assert_eq!(other.variable("URL"), "GEO_STREAM_URL");
    }

    #[test]
    fn the_lock_file_names_no_registry() {
        let lock = include_str!("../browser/package-lock.json");
        assert!(!lock.contains("://"));
    }
}
