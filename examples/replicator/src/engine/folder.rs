//! Files of the data folder, which others may write to.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes: it is kept in memory while it is replayed.
const LARGEST: u64 = 1 << 30;

/// Where a file to read really is: below its folder, a file, and not too large.
pub(super) fn to_read(path: &Path) -> Result<PathBuf> {
    let real = regular(path)?;
    let size = real.metadata()?.len();
    if size > LARGEST {
        let text = format!("it has {size} bytes, and at most {LARGEST} are read; split it");
        return Err(Error::new(ErrorKind::FileTooLarge, text));
    }
    Ok(real)
}

/// The same of a file to append to, which need not exist yet.
pub(super) fn to_append(path: &Path) -> Result<PathBuf> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(path.to_owned()),
        // A link to nothing is there.
        _ => regular(path),
    }
}

/// Looked at before it is opened: a pipe would wait for its other end, and a link can lead anywhere.
fn regular(path: &Path) -> Result<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.canonicalize()?,
        _ => Path::new(".").canonicalize()?,
    };
    let real = path.canonicalize()?;
    let refused = |text: &str| Err(Error::new(ErrorKind::InvalidInput, text));
    if !real.starts_with(&folder) {
        return refused("it is a link out of the data folder; put the file there itself");
    }
    if !real.metadata()?.is_file() {
        return refused("it is no regular file");
    }
    Ok(real)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;
    use crate::engine::replay::FileText;
    use crate::engine::sink::FileSink;

    #[test]
    fn pipes_and_links_that_lead_out_of_the_data_folder_are_refused() {
        let name = format!("replicator-folder-{}", std::process::id());
        let above = std::env::temp_dir().join(name);
        let folder = above.join("data");
        std::fs::create_dir_all(folder.join("..data")).unwrap();
        std::fs::write(above.join("secret"), "secret").unwrap();
        let inside = folder.join("..data/trips.json");
        std::fs::write(&inside, "{}\n").unwrap();
        // As a ConfigMap is mounted.
        symlink("..data/trips.json", folder.join("trips.json")).unwrap();
        symlink("../secret", folder.join("up.json")).unwrap();
        symlink(above.join("nothing"), folder.join("dangling.json")).unwrap();
        symlink("/proc/self/environ", folder.join("environ.json")).unwrap();
        symlink("/dev/zero", folder.join("zero.json")).unwrap();
        std::fs::create_dir(folder.join("folder.json")).unwrap();
        let pipe = folder.join("pipe.json");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let huge = std::fs::File::create(folder.join("huge.json")).unwrap();
        // It has no blocks.
        huge.set_len(LARGEST + 1).unwrap();

        assert_eq!(FileText::read(&folder.join("trips.json")).unwrap().len(), 1);
        for (name, why) in [
            ("up.json", "link out of the data folder"),
            ("environ.json", "link out of the data folder"),
            ("zero.json", "link out of the data folder"),
            ("folder.json", "no regular file"),
            ("pipe.json", "no regular file"),
            ("huge.json", "split it"),
            ("dangling.json", "No such file"),
        ] {
            let refused = FileText::read(&folder.join(name)).unwrap_err();
            assert!(refused.contains(why) && refused.contains(name), "{refused}");
        }
        let append = |name: &str| FileSink::new(&folder.join(name)).append(b"{}\n");
        append("trips.json").unwrap();
        append("new.json").unwrap();
        for name in ["up.json", "zero.json", "pipe.json", "dangling.json"] {
            assert!(append(name).is_err(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(&inside).unwrap(), "{}\n{}\n");
        let secret = std::fs::read_to_string(above.join("secret")).unwrap();
        assert_eq!(secret, "secret");
        assert!(!above.join("nothing").exists());
        std::fs::remove_dir_all(above).unwrap();
    }
}
