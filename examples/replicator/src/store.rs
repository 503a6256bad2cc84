//! The files of the configuration: read, saved with history, and which mappings were active.
//!
//! Several workers share them on a volume: a save replaces a file whole. Who saves holds the volume's lock
//! (`history/.lock`), looks at the files, and refuses if somebody was quicker. A volume without locks is used without:
//! of two workers that save at the very same moment the later one wins there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use replicator_domain::config::Effective;
use replicator_domain::env::Options;
use replicator_domain::unified::unified;
use replicator_domain::{Issue, is_file_name};
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

    /// Replaces a text; `None` takes it away.
    pub(crate) fn put(&mut self, which: &Which, text: Option<&str>) {
        let (texts, name) = match which {
            Which::Mappings => {
                text.unwrap_or(NOTHING).clone_into(&mut self.mappings);
                return;
            }
            Which::Template(name) => (&mut self.templates, name),
            Which::TopicMapping(name) => (&mut self.topic_mappings, name),
        };
        match text {
            Some(text) => texts.insert(name.clone(), text.to_owned()),
            None => texts.remove(name),
        };
    }

    /// What makes these texts the other ones, for `patch`.
    pub(crate) fn diff(&self, after: &Self) -> String {
        let mut diff = unified("mappings.json", Some(&self.mappings), Some(&after.mappings));
        for (folder, before, after) in [
            ("templates", &self.templates, &after.templates),
            (
                "topic_mappings",
                &self.topic_mappings,
                &after.topic_mappings,
            ),
        ] {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                let [before, after] = [before, after].map(|texts| texts.get(name));
                let file = format!("{folder}/{name}.json");
                diff += &unified(&file, before.map(String::as_str), after.map(String::as_str));
            }
        }
        diff
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

/// The last moment that browsers know, in the year 275760.
const LAST_ID: i64 = 8_640_000_000_000_000;

impl Version {
    /// The number that a file of the history is called by; files of other names, `007.json` too, are somebody's.
    fn id_of(path: &Path) -> Option<i64> {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let id: i64 = name.parse().ok()?;
        ((0..=LAST_ID).contains(&id) && id.to_string() == name).then_some(id)
    }
}

impl Which {
    /// Whether it lies in its folder: a version may have been written by hand.
    fn is_within(&self) -> bool {
        match self {
            Self::Mappings => true,
            Self::Template(name) | Self::TopicMapping(name) => is_file_name(name),
        }
    }
}

/// The files, when each was written, and how long it is; nothing for one that is missing.
pub(crate) type Written = Vec<(PathBuf, Option<(Option<SystemTime>, u64)>)>;

/// A mapping file that was never there.
pub(crate) const NOTHING: &str = "{}";

/// So many changes are taken back to find out what a version was.
const FAR_BACK: usize = 50;

/// Of the texts of one page of versions.
const MOST_BYTES: usize = 4 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Store {
    options: Options,
}

/// The same error with the path in it.
fn at(path: &Path) -> impl Fn(std::io::Error) -> std::io::Error + '_ {
    |error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Where a path leads, links followed as far as it is there.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut there = absolute.as_path();
    loop {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), absolute.strip_prefix(there)) {
            // An empty rest would add a separator.
            return if rest == Path::new("") {
                real
            } else {
                real.join(rest)
            };
        }
        match there.parent() {
            Some(parent) => there = parent,
            None => return absolute,
        }
    }
}

/// What is in a folder; nothing, where there is none.
fn entries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(folder)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<std::io::Result<_>>()
        .map_err(|error| at(folder)(error))
}

fn read_folder(folder: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for path in entries(folder)? {
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

/// A file of its own beside this one: other workers write theirs there, and each may be process 1 of its container.
fn beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let mut turn = 0_u32;
    loop {
        let name = path.with_extension(format!("{}-{turn}.new", std::process::id()));
        match File::create_new(&name) {
            Ok(file) => return Ok((name, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && turn < 1_000 => {
                turn += 1;
            }
            Err(error) => return Err(at(&name)(error)),
        }
    }
}

/// A crash leaves the old file or the new one, never half of one.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let (name, mut file) = beside(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&name, path));
    written.map_err(|error| {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_file(&name);
        at(path)(error)
    })
}

/// Who holds it is the only one that saves; it ends with this.
#[derive(Debug)]
pub(crate) struct Saving {
    _lock: Option<File>,
}

/// How long another worker may take to save.
const SAVES: Duration = Duration::from_secs(5);
const LOOKS: Duration = Duration::from_millis(20);

impl Store {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
        }
    }

    /// The texts, and whether there is a mapping file; without one it counts as empty.
    pub(crate) fn read(&self) -> std::io::Result<(Snapshot, bool)> {
        let mappings = read(&self.options.mappings)?;
        let there = mappings.is_some();
        let snapshot = Snapshot {
            mappings: mappings.unwrap_or_else(|| NOTHING.to_owned()),
            templates: read_folder(&self.options.templates)?,
            topic_mappings: read_folder(&self.options.topic_mappings)?,
        };
        Ok((snapshot, there))
    }

    /// When each of the files was written, and how long it is.
    pub(crate) fn written(&self) -> Written {
        let folders = [&self.options.templates, &self.options.topic_mappings];
        let inside = folders
            .into_iter()
            .flat_map(|folder| entries(folder).unwrap_or_default());
        let mut files: Vec<PathBuf> = inside.chain([self.options.mappings.clone()]).collect();
        files.sort_unstable();
        let state = |path: PathBuf| {
            let found = std::fs::metadata(&path).ok();
            let state = found.map(|found| (found.modified().ok(), found.len()));
            (path, state)
        };
        files.into_iter().map(state).collect()
    }

    /// The file that a mapping writes, one for each worker.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        let options = &self.options;
        options.data.join(match options.worker_count {
            1 => format!("{name}.json"),
            _ => format!("{name}.{}.json", options.worker_index),
        })
    }

    /// Mappings whose target is a file of the configuration or of its history.
    pub(crate) fn taken(&self, mappings: &[Effective]) -> Vec<Issue> {
        let mappings = mappings.iter().map(|effective| &effective.mapping);
        let mut to_files = mappings.filter(|mapping| mapping.target_is_file).peekable();
        if to_files.peek().is_none() {
            return Vec::new();
        }
        let file = real(&self.options.mappings);
        let folders = [
            ("a template", real(&self.options.templates)),
            ("a table of a topic", real(&self.options.topic_mappings)),
            ("a version of the configuration", real(&self.history())),
        ];
        let mut issues = Vec::new();
        for mapping in to_files {
            for pair in mapping.pairs() {
                let target = self.target(pair.target);
                let path = real(&target);
                let inside = |(_, folder): &&(&'static str, PathBuf)| path.starts_with(folder);
                let what = match folders.iter().find(inside) {
                    _ if path == file => "the mapping file",
                    Some((what, _)) => what,
                    None => continue,
                };
                let message = format!(
                    "`{}` would be written over {what} ({}); choose another name, or another `FILE_DATA_PATH`",
                    pair.target,
                    target.display()
                );
                let issue = Issue::error("mappings.json", message).mapping(&mapping.name);
                issues.push(issue.field("target_topic_name"));
            }
        }
        issues
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

    /// Waits until no other worker saves.
    ///
    /// # Errors
    /// Another one does not end.
    pub(crate) async fn saving(&self) -> std::io::Result<Saving> {
        let folder = self.history();
        std::fs::create_dir_all(&folder).map_err(at(&folder))?;
        let path = folder.join(".lock");
        let file = File::create(&path).map_err(at(&path))?;
        let waits = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return true,
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOKS).await,
                    Err(TryLockError::Error(error)) => {
                        tracing::debug!(%error, "the volume has no locks");
                        return false;
                    }
                }
            }
        };
        let Ok(locked) = tokio::time::timeout(SAVES, waits).await else {
            let why = format!("another worker has been saving for {} s", SAVES.as_secs());
            return Err(at(&path)(std::io::Error::new(
                std::io::ErrorKind::ResourceBusy,
                why,
            )));
        };
        let _lock = locked.then_some(file);
        Ok(Saving { _lock })
    }

    /// Replaces a text (`None`: deletes it) and keeps the one before.
    pub(crate) fn save(
        &self,
        _: &Saving,
        which: Which,
        text: Option<&str>,
        comment: &str,
        now: i64,
    ) -> std::io::Result<()> {
        let path = self.path(&which);
        let before = read(&path)?;
        let id = self.claim(now)?;
        let version = Version {
            id,
            which,
            comment: comment.to_owned(),
            text: before,
        };
        let kept = serde_json::to_string_pretty(&version)
            .map_err(std::io::Error::from)
            .and_then(|kept| replace(&self.version_file(id), &kept));
        let saved = kept.and_then(|()| match text {
            Some(text) => replace(&path, text),
            None if path.exists() => std::fs::remove_file(&path).map_err(at(&path)),
            None => Ok(()),
        });
        if let Err(error) = saved {
            // Nothing was replaced, and the place it takes is a real version's.
            if let Err(error) = std::fs::remove_file(self.version_file(id)) {
                tracing::warn!(%error, id, "a version of a text that was not saved could not be removed");
            }
            return Err(error);
        }
        // The text is saved: a version too many is no reason to say that it is not.
        self.forget();
        Ok(())
    }

    /// A number that no other version has, kept by an empty file.
    fn claim(&self, now: i64) -> std::io::Result<i64> {
        // Also where the clock was set back, or two are of one moment, this one is the newest.
        let newest = self.ids()?.first().copied();
        let mut id = newest.map_or(now, |newest| now.max(newest + 1));
        loop {
            let path = self.version_file(id);
            if id > LAST_ID {
                let why =
                    "no version can come behind the last number; move the file of that name away";
                return Err(at(&path)(std::io::Error::other(why)));
            }
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(at(folder))?;
            }
            match File::create_new(&path) {
                Ok(_) => return Ok(id),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => id += 1,
                Err(error) => return Err(at(&path)(error)),
            }
        }
    }

    fn version_file(&self, id: i64) -> PathBuf {
        self.history().join(format!("{id}.json"))
    }

    /// The numbers of all versions, the newest first.
    fn ids(&self) -> std::io::Result<Vec<i64>> {
        let found = entries(&self.history())?;
        let mut ids: Vec<i64> = found
            .iter()
            .filter_map(|path| Version::id_of(path))
            .collect();
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        Ok(ids)
    }

    /// Removes the oldest versions, until as many are left as are to be kept; one that stays holds up no other.
    fn forget(&self) {
        let keep = usize::try_from(self.options.keep_versions).unwrap_or(usize::MAX);
        let old = self.ids().map(|ids| ids.into_iter().skip(keep));
        let mut left = Vec::new();
        match old {
            Err(error) => left.push(error),
            Ok(old) => {
                for path in old.map(|id| self.version_file(id)) {
                    match std::fs::remove_file(&path) {
                        // Another worker was quicker.
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            left.push(at(&path)(error));
                        }
                        _ => {}
                    }
                }
            }
        }
        if let Some(error) = left.first() {
            tracing::warn!(%error, failed = left.len(), "old versions of the files could not be removed");
        }
    }

    /// So many versions at most, the newest first; only those older than `before`, where that is given. Other files
    /// are not opened. Texts of more than [`MOST_BYTES`] are no page: it ends early, behind one version at least.
    pub(crate) fn versions(
        &self,
        limit: usize,
        before: Option<i64>,
    ) -> std::io::Result<Vec<Version>> {
        let older = |id: &i64| before.is_none_or(|before| *id < before);
        let (mut versions, mut bytes) = (Vec::new(), 0);
        for id in self.ids()?.into_iter().filter(older) {
            if versions.len() == limit {
                break;
            }
            match self.version(id) {
                Ok(Some(version)) => {
                    bytes += version.text.as_ref().map_or(0, String::len);
                    if bytes > MOST_BYTES && !versions.is_empty() {
                        break;
                    }
                    versions.push(version);
                }
                Ok(None) => {}
                // Somebody wrote into the history; the others are of use all the same.
                Err(error) => tracing::warn!(%error, "a version of the files is left out"),
            }
        }
        Ok(versions)
    }

    /// One version; `None`: there is no such, not yet, or no longer.
    pub(crate) fn version(&self, id: i64) -> std::io::Result<Option<Version>> {
        let path = self.version_file(id);
        let Some(text) = read(&path)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let version: Version =
            serde_json::from_str(&text).map_err(|error| at(&path)(std::io::Error::other(error)))?;
        if !version.which.is_within() {
            return Err(at(&path)(std::io::Error::other("it names no file of ours")));
        }
        // The name is what it is asked for by.
        Ok(Some(Version { id, ..version }))
    }

    /// The texts that had this version, as far as what was saved leads back from these.
    pub(crate) fn back_to(&self, version: &str, mut texts: Snapshot) -> Option<Snapshot> {
        for id in self.ids().ok()?.into_iter().take(FAR_BACK) {
            // Without a link that cannot be read no older version is met.
            let kept = self.version(id).ok().flatten()?;
            texts.put(&kept.which, kept.text.as_deref());
            if texts.version() == version {
                return Some(texts);
            }
        }
        None
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

#[cfg(test)]
mod tests;
