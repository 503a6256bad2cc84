//! A file that records are appended to: whole lines, whatever the disk does.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::folder;
use super::run::lock;

/// What a file can do that lines are appended to.
trait Lines: Write + Send + std::fmt::Debug {
    /// How long it is.
    fn end(&mut self) -> std::io::Result<u64>;
    /// Leaves so many bytes of it.
    fn cut(&mut self, to: u64) -> std::io::Result<()>;
}

impl Lines for File {
    fn end(&mut self) -> std::io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn cut(&mut self, to: u64) -> std::io::Result<()> {
        self.set_len(to)
    }
}

#[derive(Debug)]
struct Open {
    file: Box<dyn Lines>,
    /// Where lines end that were written whole, while something else may stand behind them.
    torn: Option<u64>,
}

impl Open {
    /// Whole lines, or none of them.
    fn append(&mut self, lines: &[u8]) -> std::io::Result<()> {
        self.mend()?;
        let end = self.file.end()?;
        let written = self.file.write_all(lines);
        if written.is_err() {
            self.torn = Some(end);
            if let Err(error) = self.mend() {
                tracing::warn!(%error, "a line that was not written whole cannot be cut back yet");
            }
        }
        written
    }

    /// Cuts back what was not written whole; nothing is written before that is done.
    fn mend(&mut self) -> std::io::Result<()> {
        if let Some(end) = self.torn {
            self.file.cut(end)?;
            self.torn = None;
        }
        Ok(())
    }
}

/// Opened with the first record; mappings that write one file share it.
#[derive(Debug)]
pub(crate) struct FileSink {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

impl FileSink {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            open: Mutex::default(),
        }
    }

    /// Appends whole lines at once, so that a crash leaves no half batch behind what is committed.
    pub(crate) fn append(&self, lines: &[u8]) -> std::io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut open = lock(&self.open);
        let append = || {
            if open.is_none() {
                let file = Box::new(opened(&self.path)?);
                *open = Some(Open { file, torn: None });
            }
            match &mut *open {
                Some(open) => open.append(lines),
                None => Ok(()),
            }
        };
        let mut append = append;
        append().map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
        })
    }
}

/// The file, for lines behind those that are there.
fn opened(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(folder::to_append(path)?)?;
    // What another process writes must not be cut back here; where a volume knows no locks, nobody can tell.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        let text = "another process writes this file; give each worker a WORKER_INDEX of its own";
        return Err(std::io::Error::new(std::io::ErrorKind::ResourceBusy, text));
    }
    mend(&mut file)?;
    Ok(file)
}

/// Ends the last line: cuts back what a crash left of one, and ends one that is whole.
fn mend(file: &mut File) -> std::io::Result<()> {
    const STEP: u64 = 64 * 1024;
    let end = file.end()?;
    let mut last = Vec::new();
    let mut from = end;
    while from > 0 && !last.contains(&b'\n') {
        let step = from.min(STEP);
        from -= step;
        file.seek(SeekFrom::Start(from))?;
        let mut more = Vec::new();
        Read::by_ref(file).take(step).read_to_end(&mut more)?;
        more.append(&mut last);
        last = more;
    }
    let begin = last.iter().rposition(|byte| *byte == b'\n');
    let line = &last[begin.map_or(0, |at| at + 1)..];
    if line.is_empty() {
        return Ok(());
    }
    // A record of which the end is missing; anything else is somebody's own.
    if line.starts_with(b"{") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err() {
        tracing::warn!(
            bytes = line.len(),
            "half a record at the end of the file is cut off"
        );
        return file.cut(end - line.len() as u64);
    }
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Debug, Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
        /// It is not cut back for now.
        stuck: bool,
    }

    /// A file on a disk with so much room.
    #[derive(Clone, Debug, Default)]
    struct Full(Arc<Mutex<Disk>>);

    fn full() -> std::io::Error {
        std::io::ErrorKind::StorageFull.into()
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut disk = lock(&self.0);
            let taken = bytes.len().min(disk.room - disk.bytes.len());
            disk.bytes.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(full()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines for Full {
        fn end(&mut self) -> std::io::Result<u64> {
            Ok(lock(&self.0).bytes.len() as u64)
        }

        fn cut(&mut self, to: u64) -> std::io::Result<()> {
            let mut disk = lock(&self.0);
            if disk.stuck {
                return Err(full());
            }
            disk.bytes.truncate(usize::try_from(to).expect("short"));
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_leaves_no_half_line() {
        let disk = Full::default();
        let set = |room, stuck| {
            let mut disk = lock(&disk.0);
            (disk.room, disk.stuck) = (room, stuck);
        };
        let text = || String::from_utf8(lock(&disk.0).bytes.clone()).expect("text");
        let mut open = Open {
            file: Box::new(disk.clone()),
            torn: None,
        };
        set(10, false);
        open.append(b"{\"n\":1}\n").expect("room");
        assert!(open.append(b"{\"n\":2}\n{\"n\":3}\n").is_err());
        assert_eq!(text(), "{\"n\":1}\n", "the batch comes again, all of it");
        // It cannot even be cut back: nothing is written behind the half line.
        set(12, true);
        assert!(open.append(b"{\"n\":2}\n").is_err());
        set(100, true);
        assert!(open.append(b"{\"n\":2}\n").is_err());
        assert_eq!(text(), "{\"n\":1}\n{\"n\"");
        set(100, false);
        open.append(b"{\"n\":2}\n").expect("room");
        assert_eq!(text(), "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn a_file_that_somebody_else_writes_is_left_alone() {
        let path = std::env::temp_dir().join(format!("sink-shared-{}.json", std::process::id()));
        let first = FileSink::new(&path);
        first.append(b"{\"n\":1}\n").expect("appended");
        // As another worker with the same index, while a line of the first is half there.
        std::fs::write(&path, "{\"n\":1}\n{\"n\"").expect("written");
        let second = FileSink::new(&path);
        let refused = second
            .append(b"{\"n\":2}\n")
            .expect_err("locked")
            .to_string();
        assert!(refused.contains("another process writes"), "{refused}");
        assert_eq!(
            std::fs::read_to_string(&path).expect("there"),
            "{\"n\":1}\n{\"n\""
        );
        drop(first);
        second.append(b"{\"n\":2}\n").expect("appended");
        assert_eq!(
            std::fs::read_to_string(&path).expect("there"),
            "{\"n\":1}\n{\"n\":2}\n"
        );
        std::fs::remove_file(path).expect("removed");
    }

    #[test]
    fn what_a_crash_left_of_a_line_is_cut_off() {
        let path = std::env::temp_dir().join(format!("sink-{}.json", std::process::id()));
        let long = format!("{{\"n\":\"{}\"", "x".repeat(100_000));
        for (before, after) in [
            ("", "{}\n"),
            ("{\"n\":1}\n{\"n\":", "{\"n\":1}\n{}\n"),
            ("{\"n\":1}\n{\"n\":2}", "{\"n\":1}\n{\"n\":2}\n{}\n"),
            ("# mine", "# mine\n{}\n"),
            (long.as_str(), "{}\n"),
        ] {
            std::fs::write(&path, before).expect("written");
            FileSink::new(&path).append(b"{}\n").expect("appended");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), after);
        }
        std::fs::remove_file(path).expect("removed");
    }
}
