//! The files of the configuration: read, saved with history, and which mappings were active.
//!
//! Several workers share them on a volume: a save replaces a file whole. Who saves looks at the files right before
//! and refuses if somebody was quicker; of two workers that save at the very same moment the later one wins, and
//! the text of the other is among the versions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use replicator_domain::env::Options;
use replicator_domain::is_file_name;
use serde::{Deserialize, Serialize};

/// All texts as they are at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) mappings: String,
    pub(crate) templates: BTreeMap<String, String>,
    pub(crate) topic_mappings: BTreeMap<String, String>,
}

impl Snapshot {
    /// Another one as soon as any text differs.
    pub(crate) fn version(&self) -> String {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut add = |text: &str| {
            for byte in text.bytes().chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        add(&self.mappings);
        for (name, text) in self.templates.iter().chain(&self.topic_mappings) {
            add(name);
            add(text);
        }
        format!("{hash:016x}")
    }
}

/// Which text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "name")]
pub(crate) enum Which {
    Mappings,
    Template(String),
    TopicMapping(String),
}

/// A text that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Milliseconds since the Unix epoch, also its name.
    pub(crate) id: i64,
    pub(crate) which: Which,
    /// Why it was replaced.
    pub(crate) comment: String,
    /// As it was; `None`: it was new.
    pub(crate) text: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Store {
    options: Options,
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(std::io::Error::new(
            error.kind(),
            format!("{}: {error}", path.display()),
        )),
    }
}

fn read_folder(folder: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(texts),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .filter(|name| is_file_name(name));
        if let Some(name) = stem.filter(|_| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        }) && let Some(text) = read(&path)?
        {
            texts.insert(name.to_owned(), text);
        }
    }
    Ok(texts)
}

/// A crash leaves the old file or the new one, never half of one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)
}

impl Store {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
        }
    }

    pub(crate) fn read(&self) -> std::io::Result<Snapshot> {
        Ok(Snapshot {
            mappings: read(&self.options.mappings)?.unwrap_or_else(|| "{}".to_owned()),
            templates: read_folder(&self.options.templates)?,
            topic_mappings: read_folder(&self.options.topic_mappings)?,
        })
    }

    fn path(&self, which: &Which) -> PathBuf {
        match which {
            Which::Mappings => self.options.mappings.clone(),
            Which::Template(name) => self.options.templates.join(format!("{name}.json")),
            Which::TopicMapping(name) => self.options.topic_mappings.join(format!("{name}.json")),
        }
    }

    fn history(&self) -> PathBuf {
        let beside = self.options.mappings.parent().unwrap_or(Path::new("."));
        beside.join("history")
    }

    /// Replaces a text (`None`: deletes it) and keeps the one before.
    pub(crate) fn save(
        &self,
        which: Which,
        text: Option<&str>,
        comment: &str,
        now: i64,
    ) -> std::io::Result<()> {
        let path = self.path(&which);
        let before = read(&path)?;
        let mut id = now;
        while self.history().join(format!("{id}.json")).exists() {
            id += 1;
        }
        let version = Version {
            id,
            which,
            comment: comment.to_owned(),
            text: before,
        };
        replace(
            &self.history().join(format!("{id}.json")),
            &serde_json::to_string_pretty(&version)?,
        )?;
        match text {
            Some(text) => replace(&path, text),
            None if path.exists() => std::fs::remove_file(path),
            None => Ok(()),
        }
    }

    /// The newest first.
    pub(crate) fn versions(&self) -> std::io::Result<Vec<Version>> {
        let texts = read_folder(&self.history())?;
        let mut versions: Vec<Version> = texts
            .values()
            .filter_map(|text| serde_json::from_str(text).ok())
            .collect();
        versions.sort_by_key(|version| std::cmp::Reverse(version.id));
        Ok(versions)
    }

    fn active_file(&self) -> PathBuf {
        self.options
            .data
            .join(format!(".active-{}.json", self.options.worker_index))
    }

    /// What was active when the service ran last: it goes on where it was.
    pub(crate) fn active(&self) -> BTreeSet<String> {
        let text = read(&self.active_file()).ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    pub(crate) fn save_active(&self, active: &BTreeSet<String>) -> std::io::Result<()> {
        replace(&self.active_file(), &serde_json::to_string(active)?)
    }
}
