//! Kafka's jars, and apart from them those of MirrorMaker 2: fetched once with Maven, kept below the target directory.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, OrFail, Result};
use crate::process;
use crate::workspace::Workspace;

/// The Kafka that tests and measurements are made with.
const VERSION: &str = "4.1.0";
/// The line of the logging interface Kafka's own jars pull in.
const SLF4J: &str = "1.7.36";
const OLDEST_JAVA: u32 = 17;
const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// What provides `java`.
pub const INSTALL_JAVA: &str = "a Java runtime, 17 or later (Debian: openjdk-17-jre-headless)";
/// What provides `mvn`.
pub const INSTALL_MAVEN: &str = "Apache Maven (Debian: maven)";

/// A folder of jars and what Maven puts there.
struct Jars {
    /// Of the folder, before the version.
    name: &'static str,
    what: &'static str,
    size: &'static str,
    /// Group, artifact and version.
    artifacts: &'static [(&'static str, &'static str, &'static str)],
    /// Whether all they depend on is fetched, too.
    complete: bool,
}

const KAFKA: Jars = Jars {
    name: "kafka",
    what: "Apache Kafka",
    size: "54 MB",
    artifacts: &[
        ("org.apache.kafka", "kafka_2.13", VERSION),
        ("org.apache.kafka", "kafka-tools", VERSION),
        ("org.slf4j", "slf4j-simple", SLF4J),
    ],
    complete: true,
};

/// What it stands on comes with Kafka's tools.
const MIRROR_MAKER: Jars = Jars {
    name: "mirror-maker",
    what: "MirrorMaker 2",
    size: "1 MB",
    artifacts: &[
        ("org.apache.kafka", "connect-mirror", VERSION),
        ("org.apache.kafka", "connect-mirror-client", VERSION),
    ],
    complete: false,
};

/// Java and the folder of jars.
#[derive(Debug)]
pub(crate) struct Dist {
    java: PathBuf,
    libs: PathBuf,
}

impl Dist {
    /// The jars, fetched now if this is the first time.
    pub(crate) fn ready(workspace: &Workspace) -> Result<Self> {
        let java = process::find_program("java", INSTALL_JAVA)?;
        check_java(&java, &format!("Kafka {VERSION}"))?;
        let libs = KAFKA.ready(workspace)?;
        Ok(Self { java, libs })
    }

    /// A Java command with Kafka's classes, up to and including the main class.
    pub(crate) fn java(&self, options: &[&str], class: &str) -> Command {
        let classes = class_path(&[&self.libs]);
        let mut command = Command::new(&self.java);
        command.args(options).arg("-cp").arg(classes).arg(class);
        command
    }
}

/// Java's class path of MirrorMaker 2, whose jars are fetched now if this is the first time, and of Kafka.
///
/// # Errors
/// Java or Maven is missing, or Maven cannot fetch the jars.
pub fn mirror_maker(workspace: &Workspace) -> Result<OsString> {
    let kafka = Dist::ready(workspace)?;
    let own = MIRROR_MAKER.ready(workspace)?;
    Ok(class_path(&[&own, &kafka.libs]))
}

/// Java's class path of Kafka and its tools.
///
/// # Errors
/// Java or Maven is missing, or Maven cannot fetch the jars.
pub fn classes(workspace: &Workspace) -> Result<OsString> {
    let kafka = Dist::ready(workspace)?;
    Ok(class_path(&[&kafka.libs]))
}

/// All jars of these folders.
fn class_path(folders: &[&Path]) -> OsString {
    let mut classes = OsString::new();
    for folder in folders {
        if !classes.is_empty() {
            classes.push(":");
        }
        classes.push(folder);
        classes.push("/*");
    }
    classes
}

/// Everything of ours that concerns Kafka.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("kafka")
}

/// One command at a time fetches, starts or stops; the lock ends with the process at the latest.
pub(crate) fn lock(workspace: &Workspace) -> Result<File> {
    lock_folder(&folder(workspace))
}

/// The same for what lives in this folder.
pub(crate) fn lock_folder(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let doing = || format!("lock {}", path.display());
    fs::create_dir_all(folder).or_fail(doing)?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .or_fail(doing)?;
    let deadline = Instant::now() + FETCH_LIMIT;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::Error(error)) => return Err(error).or_fail(doing),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(Failure::new(format!(
                    "another `cargo xtask` holds {} for too long",
                    path.display()
                )));
            }
            Err(fs::TryLockError::WouldBlock) => {
                if !told {
                    eprintln!(
                        "waiting for another `cargo xtask` that starts or stops something in {}",
                        folder.display()
                    );
                    told = true;
                }
                process::pause()?;
            }
        }
    }
}

impl Jars {
    /// The folder of them, fetched now if this is the first time.
    fn ready(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = folder(workspace).join(format!("{}-{VERSION}", self.name));
        let libs = folder.join("libs");
        if !libs.is_dir() {
            let _lock = lock(workspace)?;
            // Another command may have fetched them while this one waited.
            if !libs.is_dir() {
                self.fetch(&folder)?;
            }
        }
        Ok(libs)
    }

    /// Fetches into a folder beside the final one and renames it: what has the name is complete.
    fn fetch(&self, folder: &Path) -> Result<()> {
        let Self {
            name, what, size, ..
        } = self;
        let maven = process::find_program("mvn", INSTALL_MAVEN)?;
        let part = folder.with_extension("0.part");
        let _ = fs::remove_dir_all(&part);
        fs::create_dir_all(&part).or_fail(|| format!("create {}", part.display()))?;
        fs::write(part.join("pom.xml"), self.pom())
            .or_fail(|| format!("write {}/pom.xml", part.display()))?;
        eprintln!("{name}: fetching {what} {VERSION} with Maven ({size}, once)");
        let child = Command::new(maven)
            .args([
                "-q",
                "-B",
                "-Dstyle.color=never",
                "dependency:copy-dependencies",
                "-DoutputDirectory=libs",
            ])
            .current_dir(&part)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .spawn()
            .or_fail(|| "start `mvn`".into())?;
        let libs = part.join("libs");
        let status = process::wait_telling(
            child,
            "`mvn dependency:copy-dependencies`",
            FETCH_LIMIT,
            |passed| {
                let jars = fs::read_dir(&libs).map_or(0, Iterator::count);
                eprintln!(
                    "{name}: still fetching after {} s, {jars} jars in place",
                    passed.as_secs()
                );
            },
        )?;
        if !status.success() {
            return Err(Failure::new(format!(
                "Maven could not fetch the jars of {what} ({status}); its message is above, its project is {}/pom.xml",
                part.display()
            )));
        }
        for (_, artifact, version) in self.artifacts {
            let jar = libs.join(format!("{artifact}-{version}.jar"));
            if !jar.is_file() {
                return Err(Failure::new(format!(
                    "Maven succeeded but left no {}",
                    jar.display()
                )));
            }
        }
        let _ = fs::remove_dir_all(folder);
        fs::rename(&part, folder)
            .or_fail(|| format!("move {} to {}", part.display(), folder.display()))
    }

    fn pom(&self) -> String {
        let alone = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>";
        let exclusions = if self.complete { "" } else { alone };
        let dependencies: String = self
            .artifacts
            .iter()
            .map(|(group, artifact, version)| {
                format!(
                    "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                     <version>{version}</version>{exclusions}</dependency>\n"
                )
            })
            .collect();
        let name = self.name;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  \
               <modelVersion>4.0.0</modelVersion>\n  \
               <groupId>citizenk.xtask</groupId>\n  \
               <artifactId>{name}-jars</artifactId>\n  \
               <version>1</version>\n  \
               <packaging>pom</packaging>\n  \
               <dependencies>\n{dependencies}  </dependencies>\n\
             </project>\n"
        )
    }
}

/// `what` needs it.
pub(crate) fn check_java(java: &Path, what: &str) -> Result<()> {
    let output = Command::new(java)
        .arg("-version")
        .output()
        .or_fail(|| format!("run {} -version", java.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match java_version(&text) {
        Some(version) if version >= OLDEST_JAVA => Ok(()),
        Some(version) => Err(Failure::new(format!(
            "{} is Java {version}; {what} needs {INSTALL_JAVA}",
            java.display()
        ))),
        None => Err(Failure::new(format!(
            "{} -version says no version: {}; install {INSTALL_JAVA}",
            java.display(),
            text.trim()
        ))),
    }
}

/// The major number in `openjdk version "17.0.15"`; up to 8 it was written `1.8.0`.
fn java_version(text: &str) -> Option<u32> {
    let mut numbers = text
        .split('"')
        .nth(1)?
        .split(['.', '-', '_', '+'])
        .map(str::parse::<u32>);
    match numbers.next()?.ok()? {
        1 => numbers.next()?.ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_old_and_new() {
        assert_eq!(
            java_version("openjdk version \"17.0.15\" 2025-04-15"),
            Some(17)
        );
        assert_eq!(java_version("java version \"1.8.0_402\""), Some(8));
        assert_eq!(
            java_version("openjdk version \"26-ea\" 2026-03-17"),
            Some(26)
        );
        assert_eq!(java_version("command not found"), None);
    }

    #[test]
    fn the_pom_asks_for_broker_tools_and_logging() {
        let text = KAFKA.pom();
        for part in [
            "<artifactId>kafka_2.13</artifactId><version>4.1.0</version>",
            "kafka-tools",
            "slf4j-simple",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("exclusion"), "{text}");
    }

    #[test]
    fn mirror_maker_comes_alone_and_stands_before_kafka() {
        let text = MIRROR_MAKER.pom();
        let mirror = "<artifactId>connect-mirror</artifactId><version>4.1.0</version><exclusions>";
        assert!(text.contains(mirror), "{text}");
        let classes = class_path(&[Path::new("/m/libs"), Path::new("/k/libs")]);
        assert_eq!(classes, "/m/libs/*:/k/libs/*");
    }
}
