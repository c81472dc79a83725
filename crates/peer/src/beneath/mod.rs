//! Opening a shared file without ever leaving its share: no symbolic link is followed in any
//! part of the path below the root, whatever someone puts there between a scan and now.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// What a file is to the system, and when it last changed: the same identity, the same contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// When it was modified, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl Identity {
    /// Of a file that is open.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(file: &File) -> io::Result<Self> {
        system::identity_of(file)
    }

    /// Of what is at `path`, also if that is a symbolic link, with the `metadata` that was just
    /// read there: where that holds all of it nothing is read again.
    ///
    /// # Errors
    /// What the system says.
    pub fn at(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        system::identity_at(path, metadata)
    }

    /// When it was modified, in seconds since 1970.
    pub fn modified_seconds(&self) -> i64 {
        self.modified_ns.div_euclid(1_000_000_000)
    }
}

/// Opens the regular file `inner` below `root`, or `root` itself if `inner` is empty.
///
/// # Errors
/// What the system says; `InvalidInput` if it is not a regular file; a symbolic link anywhere
/// below the root is an error.
pub fn open(root: &Path, inner: &str) -> io::Result<(File, Identity)> {
    let file = system::open(root, inner)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let identity = Identity::of(&file)?;
    Ok((file, identity))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    #[cfg(unix)]
    use std::os::unix::fs::{symlink as link_folder, symlink as link_file};
    #[cfg(windows)]
    use std::os::windows::fs::{symlink_dir as link_folder, symlink_file as link_file};

    /// What must not be opened in a share of [`share_with_traps`].
    pub(super) const TRAPS: [&str; 6] = [
        "folder-link/secret",
        "file-link",
        "inside-link/ner/file",
        "../out/secret",
        "in/../../out/secret",
        "/etc/passwd",
    ];

    /// A share beside a folder with a secret, with links out of it.
    pub(super) fn share_with_traps(place: &Path) -> PathBuf {
        let root = place.join("share");
        fs::create_dir_all(root.join("in/ner")).unwrap();
        fs::create_dir(place.join("out")).unwrap();
        fs::write(place.join("out/secret"), "s").unwrap();
        fs::write(root.join("in/ner/file"), "f").unwrap();
        link_folder(place.join("out"), root.join("folder-link")).unwrap();
        link_file(place.join("out/secret"), root.join("file-link")).unwrap();
        link_folder("in", root.join("inside-link")).unwrap();
        root
    }

    #[test]
    fn nothing_outside_and_no_link_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let root = share_with_traps(place.path());
        let (_, identity) = open(&root, "in/ner/file").unwrap();
        let at = root.join("in/ner/file");
        let found = Identity::at(&at, &at.symlink_metadata().unwrap()).unwrap();
        assert_eq!(identity, found);
        assert!(open(&at, "").is_ok());
        for bad in TRAPS {
            assert!(open(&root, bad).is_err(), "{bad}");
        }
        assert!(open(&root, "in").is_err(), "a folder is opened");
        assert!(open(&root.join("file-link"), "").is_err());
    }

    #[test]
    fn a_file_that_changes_or_is_replaced_is_another() {
        let place = tempfile::tempdir().unwrap();
        let (path, other) = (place.path().join("file"), place.path().join("other"));
        fs::write(&path, "one").unwrap();
        let (file, before) = open(place.path(), "file").unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        fs::write(&other, "two").unwrap();
        File::options()
            .write(true)
            .open(&other)
            .and_then(|other| other.set_modified(modified))
            .unwrap();
        let (_, beside) = open(place.path(), "other").unwrap();
        assert_eq!(
            (before.size, before.modified_ns),
            (beside.size, beside.modified_ns)
        );
        assert_ne!(
            before, beside,
            "of one size and time, they are taken for one"
        );
        fs::write(&path, "more").unwrap();
        assert_ne!(Identity::of(&file).unwrap(), before);
    }
}
