//! The file in which a worker writes what it does.
//!
//! In: deeds, one line each, written at once and appended, so that a worker that is killed leaves all
//! of them but the last. Out: entries, read while the worker still writes.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::history::{Deed, Entry, Id, Input, Place};

/// Microseconds since 1970.
pub(crate) fn now() -> u64 {
    let passed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
}

/// The worker's side.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file })
    }

    /// Writes a line with one call of the system: lines of several threads do not mix.
    pub(crate) fn write(&self, deed: &Deed) -> io::Result<()> {
        (&self.file).write_all(line(deed, now()).as_bytes())
    }
}

fn line(deed: &Deed, time: u64) -> String {
    let mut text = String::new();
    let list = |partitions: &[i32]| {
        partitions.iter().fold(String::new(), |text, partition| {
            text + " " + &partition.to_string()
        })
    };
    let record = |input: &Input| {
        let Input { place, id, key } = input;
        format!(
            " {} {} {} {} {key}",
            place.partition, place.offset, id.producer, id.seq
        )
    };
    let (letter, rest) = match deed {
        Deed::Assigned(partitions) => ('A', list(partitions)),
        Deed::Revoked(partitions) => ('R', list(partitions)),
        Deed::Start(input) => ('S', record(input)),
        Deed::Done(input) => ('D', record(input)),
        Deed::Corrupt(place) => ('X', format!(" {} {}", place.partition, place.offset)),
        Deed::Mark(word) => ('M', format!(" {word}")),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{letter} {time}{rest}");
    text
}

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let letter = words.next()?;
    let time = words.next()?.parse().ok()?;
    let rest: Vec<&str> = words.collect();
    let numbers = || {
        rest.iter()
            .map(|word| word.parse::<i64>().ok())
            .collect::<Option<Vec<i64>>>()
    };
    let record = || {
        let list = numbers()?;
        let &[partition, offset, producer, seq, key] = list.as_slice() else {
            return None;
        };
        Some(Input {
            place: Place::new(i32::try_from(partition).ok()?, offset),
            id: Id {
                producer: u32::try_from(producer).ok()?,
                seq: u64::try_from(seq).ok()?,
            },
            key: u32::try_from(key).ok()?,
        })
    };
    let partitions = || {
        rest.iter()
            .map(|word| word.parse().ok())
            .collect::<Option<Vec<i32>>>()
    };
    let deed = match letter {
        "A" => Deed::Assigned(partitions()?),
        "R" => Deed::Revoked(partitions()?),
        "S" => Deed::Start(record()?),
        "D" => Deed::Done(record()?),
        "X" => match numbers()?.as_slice() {
            &[partition, offset] => {
                Deed::Corrupt(Place::new(i32::try_from(partition).ok()?, offset))
            }
            _ => return None,
        },
        "M" => Deed::Mark((*rest.first()?).to_owned()),
        _ => return None,
    };
    Some(Entry { deed, time })
}

/// The judge's side: reads what was added since the last look.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    read: u64,
    part: String,
    pub(crate) entries: Vec<Entry>,
}

impl Reader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: 0,
            part: String::new(),
            entries: Vec::new(),
        }
    }

    /// A file that is not there yet is empty; a line that is not complete waits for its end.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.read += file.read_to_end(&mut bytes)? as u64;
        self.part.push_str(&String::from_utf8_lossy(&bytes));
        let Some(end) = self.part.rfind('\n') else {
            return Ok(());
        };
        let rest = self.part.split_off(end + 1);
        for line in std::mem::replace(&mut self.part, rest).lines() {
            let entry = parse(line).ok_or_else(|| {
                io::Error::other(format!("{}: `{line}` is no entry", self.path.display()))
            })?;
            self.entries.push(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deed_is_read_back() {
        let input = Input {
            place: Place::new(3, 77),
            id: Id {
                producer: 1,
                seq: 9,
            },
            key: 5,
        };
        for deed in [
            Deed::Assigned(vec![0, 2]),
            Deed::Revoked(vec![]),
            Deed::Start(input),
            Deed::Done(input),
            Deed::Corrupt(Place::new(1, 2)),
            Deed::Mark("sent".into()),
        ] {
            let text = line(&deed, 42);
            assert_eq!(
                parse(text.trim_end_matches('\n')),
                Some(Entry { deed, time: 42 }),
                "{text}"
            );
        }
        assert_eq!(parse("S 42 1 2"), None);
    }

    #[test]
    fn a_line_that_was_cut_waits_for_its_end() {
        let path = std::env::temp_dir().join(format!("faults-journal-{}", std::process::id()));
        let mut reader = Reader::new(path.clone());
        reader.refresh().expect("nothing there is no error");
        std::fs::write(&path, "M 1 one\nM 2 tw").expect("the temporary folder is writable");
        reader.refresh().expect("the first line is complete");
        assert_eq!(reader.entries.len(), 1);
        let mut file = OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("it was just written");
        file.write_all(b"o\n").expect("it is writable");
        reader.refresh().expect("now the second is");
        assert_eq!(reader.entries[1].deed, Deed::Mark("two".into()));
        std::fs::remove_file(path).expect("it is ours");
    }
}
