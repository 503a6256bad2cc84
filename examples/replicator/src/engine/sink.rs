//! A file that records are appended to.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::folder;
use super::run::lock;

/// Opened with the first record.
#[derive(Debug)]
pub(crate) struct FileSink {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl FileSink {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: Mutex::default(),
        }
    }

    /// Appends whole lines at once, so that a crash leaves no half batch behind what is committed.
    pub(crate) fn append(&self, lines: &[u8]) -> std::io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut file = lock(&self.file);
        let named = |error: std::io::Error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
        };
        if file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder).map_err(named)?;
            }
            *file = Some(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(folder::to_append(&self.path).map_err(named)?)
                    .map_err(named)?,
            );
        }
        match &mut *file {
            Some(file) => file.write_all(lines).map_err(named),
            None => Ok(()),
        }
    }
}
