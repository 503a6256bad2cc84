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

impl Version {
    /// The number that a file of the history is called by; files of other names are somebody's.
    fn id_of(path: &Path) -> Option<i64> {
        let json = path
            .extension()
            .is_some_and(|extension| extension == "json");
        path.file_stem()?.to_str()?.parse().ok().filter(|_| json)
    }
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
        // Also where the clock was set back, or two are of one moment, this one is the newest.
        let newest = self.ids()?.first().copied();
        let mut id = newest.map_or(now, |newest| now.max(newest.saturating_add(1)));
        while self.version_file(id).exists() {
            id += 1;
        }
        let version = Version {
            id,
            which,
            comment: comment.to_owned(),
            text: before,
        };
        replace(
            &self.version_file(id),
            &serde_json::to_string_pretty(&version)?,
        )?;
        let saved = match text {
            Some(text) => replace(&path, text),
            None if path.exists() => std::fs::remove_file(path),
            None => Ok(()),
        };
        if let Err(error) = saved {
            // Nothing was replaced, and the place it takes is a real version's.
            if let Err(error) = std::fs::remove_file(self.version_file(id)) {
                tracing::warn!(%error, id, "a version of a text that was not saved could not be removed");
            }
            return Err(error);
        }
        // The text is saved: a version too many is no reason to say that it is not.
        if let Err(error) = self.forget() {
            tracing::warn!(%error, "old versions of the files could not be removed");
        }
        Ok(())
    }

    fn version_file(&self, id: i64) -> PathBuf {
        self.history().join(format!("{id}.json"))
    }

    /// The numbers of all versions, the newest first.
    fn ids(&self) -> std::io::Result<Vec<i64>> {
        let entries = match std::fs::read_dir(self.history()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for entry in entries {
            ids.extend(Version::id_of(&entry?.path()));
        }
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        Ok(ids)
    }

    /// Removes the oldest versions, until as many are left as are to be kept.
    fn forget(&self) -> std::io::Result<()> {
        let keep = usize::try_from(self.options.keep_versions).unwrap_or(usize::MAX);
        for id in self.ids()?.into_iter().skip(keep) {
            match std::fs::remove_file(self.version_file(id)) {
                // Another worker was quicker.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// So many versions at most, the newest first; only those older than `before`, where that is given. Other files
    /// are not opened.
    pub(crate) fn versions(
        &self,
        limit: usize,
        before: Option<i64>,
    ) -> std::io::Result<Vec<Version>> {
        let older = |id: &i64| before.is_none_or(|before| *id < before);
        let mut versions = Vec::new();
        for id in self.ids()?.into_iter().filter(older) {
            if versions.len() == limit {
                break;
            }
            match self.version(id) {
                Ok(version) => versions.extend(version),
                // Somebody wrote into the history; the others are of use all the same.
                Err(error) => tracing::warn!(%error, "a version of the files is left out"),
            }
        }
        Ok(versions)
    }

    /// One version; `None`: there is no such, or no longer.
    pub(crate) fn version(&self, id: i64) -> std::io::Result<Option<Version>> {
        let path = self.version_file(id);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        let version = serde_json::from_str(&text)
            .map_err(|error| std::io::Error::other(format!("{}: {error}", path.display())))?;
        Ok(Some(version))
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
mod tests {
    use super::*;
    use replicator_domain::env::translate;

    /// A store that keeps so many versions, in a folder of its own.
    fn store(name: &str, keep: u32) -> (PathBuf, Store) {
        let folder = std::env::temp_dir().join(format!("store-{}-{name}", std::process::id()));
        let vars = BTreeMap::from([
            ("FILE_DATA_PATH".to_owned(), folder.display().to_string()),
            ("KEEP_VERSIONS".to_owned(), keep.to_string()),
        ]);
        (folder, Store::new(&translate(&vars).unwrap().0))
    }

    fn comments(versions: &[Version]) -> Vec<&str> {
        versions.iter().map(|one| one.comment.as_str()).collect()
    }

    #[test]
    fn the_oldest_versions_go_and_pages_follow_each_other() {
        let (folder, store) = store("pages", 3);
        assert!(store.versions(10, None).unwrap().is_empty());
        for comment in ["a", "b", "c", "d", "e"] {
            // At one moment: they get numbers of their own.
            let which = Which::Template(comment.to_owned());
            store.save(which, Some("[]"), comment, 1_000).unwrap();
        }
        // A note that somebody put there is no version, and stays.
        std::fs::write(store.history().join("notes.json"), "mine").unwrap();
        std::fs::write(store.history().join("7.txt"), "mine").unwrap();
        let all = store.versions(10, None).unwrap();
        assert_eq!(comments(&all), ["e", "d", "c"]);
        let first = store.versions(2, None).unwrap();
        assert_eq!(comments(&first), ["e", "d"]);
        let second = store.versions(2, Some(first[1].id)).unwrap();
        assert_eq!(comments(&second), ["c"]);
        assert!(store.versions(2, Some(second[0].id)).unwrap().is_empty());
        store.save(Which::Mappings, None, "f", 2_000).unwrap();
        assert_eq!(
            comments(&store.versions(10, None).unwrap()),
            ["f", "e", "d"]
        );
        assert!(store.history().join("notes.json").exists());
        assert!(store.history().join("7.txt").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_version_is_found_by_its_number_and_a_broken_one_hides_no_other() {
        let (folder, store) = store("broken", 5);
        for comment in ["a", "b"] {
            let which = Which::TopicMapping("t".to_owned());
            store.save(which, Some(comment), comment, 1_000).unwrap();
        }
        std::fs::write(store.version_file(1_005), "{").unwrap();
        assert_eq!(comments(&store.versions(2, None).unwrap()), ["b", "a"]);
        let found = store.version(1_001).unwrap().unwrap();
        assert_eq!((found.comment, found.text), ("b".into(), Some("a".into())));
        assert!(store.version(999).unwrap().is_none());
        let error = store.version(1_005).unwrap_err().to_string();
        assert!(error.contains("1005.json"), "{error}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
