//! The registry's archive: fetched once with Maven, checked, unpacked, kept below the target directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::{INSTALL_JAVA, INSTALL_MAVEN, dist};
use crate::process;
use crate::workspace::Workspace;

/// The last line that runs on Java 17; 3.3 needs 21.
const VERSION: &str = "3.0.9";
const SHA256: &str = "2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43";
/// Pinned: `get` of later lines fails on the artifact's parent.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get";
const FETCH_LIMIT: Duration = Duration::from_secs(600);
const UNPACK_LIMIT: Duration = Duration::from_secs(120);
const RUNNER: &str = "-runner.jar";

/// Java and the jar it runs.
#[derive(Debug)]
pub(super) struct Dist {
    java: PathBuf,
    jar: PathBuf,
}

impl Dist {
    /// The unpacked archive, fetched now if this is the first time.
    pub(super) fn ready(workspace: &Workspace) -> Result<Self> {
        let java = process::find_program("java", INSTALL_JAVA)?;
        dist::check_java(&java, &format!("Apicurio Registry {VERSION}"))?;
        let home = folder(workspace).join(format!("apicurio-registry-{VERSION}"));
        if !home.is_dir() {
            let _lock = dist::lock_folder(&folder(workspace))?;
            // Another command may have fetched it while this one waited.
            if !home.is_dir() {
                fetch(&home)?;
            }
        }
        let jar = runner(&home)?.ok_or_else(|| {
            Failure::new(format!(
                "there is no *{RUNNER} below {}; remove that folder to have it fetched again",
                home.display()
            ))
        })?;
        Ok(Self { java, jar })
    }

    /// The command that runs it on this port; `folder` is what tells its process from any other.
    pub(super) fn command(&self, port: u16, folder: &Path) -> Command {
        let mut command = Command::new(&self.java);
        command
            .args([
                "-Xmx192m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dquarkus.http.host=127.0.0.1",
            ])
            .arg(format!("-Dquarkus.http.port={port}"))
            .args([
                "-Dapicurio.ccompat.use-canonical-hash=true",
                "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
            ])
            .arg(mark(folder))
            .arg("-jar")
            .arg(&self.jar)
            .current_dir(folder);
        command
    }
}

/// The word of the command line that names the folder.
pub(super) fn mark(folder: &Path) -> String {
    format!("-Dcitizenk.registry.folder={}", folder.display())
}

/// Everything of ours that concerns the registry.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("registry")
}

/// Fetches into a folder beside the final one and renames it: what has the name is complete.
fn fetch(home: &Path) -> Result<()> {
    let maven = process::find_program("mvn", INSTALL_MAVEN)?;
    let part = home.with_extension("part");
    let _ = fs::remove_dir_all(&part);
    fs::create_dir_all(&part).or_fail(|| format!("create {}", part.display()))?;
    let archive = part.join("archive.tar.gz");
    eprintln!("registry: fetching Apicurio Registry {VERSION} with Maven (109 MB, once)");
    let child = Command::new(maven)
        .args([
            "-q",
            "-B",
            "-Dstyle.color=never",
            PLUGIN,
            "-Dtransitive=false",
        ])
        .arg(format!(
            "-Dartifact=io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
        ))
        .arg(format!("-Ddest={}", archive.display()))
        .current_dir(&part)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .or_fail(|| "start `mvn`".into())?;
    let status = process::wait_telling(child, "`mvn dependency:get`", FETCH_LIMIT, |passed| {
        eprintln!("registry: still fetching after {} s", passed.as_secs());
    })?;
    if !status.success() {
        return Err(Failure::new(format!(
            "Maven could not fetch the registry ({status}); its message is above"
        )));
    }
    check(&archive)?;
    let mut unpack = Command::new(process::find_program("tar", "tar")?);
    unpack.arg("-xzf").arg(&archive).arg("-C").arg(&part);
    process::run(unpack, "`tar -xzf`", UNPACK_LIMIT)?;
    fs::remove_file(&archive).or_fail(|| format!("remove {}", archive.display()))?;
    if runner(&part)?.is_none() {
        return Err(Failure::new(format!("the archive has no *{RUNNER}")));
    }
    fs::rename(&part, home).or_fail(|| format!("move {} to {}", part.display(), home.display()))
}

/// Whether the archive is the one that was tried, whoever sent it.
fn check(archive: &Path) -> Result<()> {
    let doing = || format!("read {}", archive.display());
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(archive).or_fail(doing)?, &mut hash).or_fail(doing)?;
    let found: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found == SHA256 {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "{} is not Apicurio Registry {VERSION}: its SHA-256 is {found}, expected {SHA256}",
            archive.display()
        )))
    }
}

/// The jar to run, here or one folder below.
fn runner(folder: &Path) -> Result<Option<PathBuf>> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>> {
        let doing = || format!("list {}", folder.display());
        fs::read_dir(folder)
            .or_fail(doing)?
            .map(|entry| Ok(entry.or_fail(doing)?.path()))
            .collect()
    };
    let is_runner = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.ends_with(RUNNER))
    };
    let here = list(folder)?;
    if let Some(jar) = here.iter().find(|path| is_runner(path)) {
        return Ok(Some(jar.clone()));
    }
    for below in here.iter().filter(|path| path.is_dir()) {
        if let Some(jar) = list(below)?.into_iter().find(is_runner) {
            return Ok(Some(jar));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("xtask-registry-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        folder
    }

    #[test]
    fn another_archive_is_refused_with_both_sums() {
        let folder = scratch("sum");
        let archive = folder.join("a");
        fs::write(&archive, "abc").expect("the folder is writable");
        let failure = check(&archive).expect_err("it is no registry").to_string();
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(
            failure.contains(of_abc) && failure.contains(SHA256),
            "{failure}"
        );
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn the_jar_is_found_wherever_the_archive_has_it() {
        let folder = scratch("jar");
        assert_eq!(runner(&folder).expect("it can be read"), None);
        let below = folder.join("app-1");
        fs::create_dir_all(&below).expect("the folder is writable");
        let jar = below.join("app-1-runner.jar");
        fs::write(&jar, "").expect("the folder is writable");
        assert_eq!(runner(&folder).expect("it can be read"), Some(jar));
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
