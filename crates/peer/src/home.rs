//! The folder in which a peer keeps its state, and the only ways in which that is written.
//!
//! Whatever is written here is either whole or absent after a crash, and only its owner reads it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem};
use rustix::fs::{FlockOperation, flock};

/// `HOME/peer`, held by this process alone until it is dropped.
#[derive(Debug)]
pub struct PeerHome {
    folder: PathBuf,
    _lock: File,
}

impl PeerHome {
    /// Makes the folder if it is missing and takes hold of it.
    ///
    /// # Errors
    /// `in_use` if another peer runs on this home; `internal` if the disk refuses.
    pub fn open(home: &Path) -> Result<Self, Problem> {
        let folder = home.join("peer");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|e| disk(&folder, &e))?;
        let path = folder.join("lock");
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| disk(&path, &e))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                folder,
                _lock: lock,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Problem::new(
                ErrorCode::InUse,
                "a peer already runs on this home",
            )
            .hint(
                "stop it with `convite leave`, or give this one a home of its own: `--home DIR`",
            )),
            Err(error) => Err(disk(&path, &error.into())),
        }
    }

    /// Where the state called `name` is kept.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Replaces `path` by a file of mode 0600 with `contents`: after a crash it is the old or the new.
///
/// # Errors
/// What the disk says.
pub fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // A file left by a crash may have another mode: begin anew.
    if let Err(error) = fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// What a user is told when the disk refuses `path`.
pub fn disk(path: &Path, error: &io::Error) -> Problem {
    let shown = path.to_string_lossy();
    let shown = convite_core::display::escape(&shown);
    Problem::new(ErrorCode::Internal, format!("cannot use {shown}: {error}"))
        .hint("check that the disk has room and that you may read and write there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_home_belongs_to_one_peer_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let first = PeerHome::open(home.path()).unwrap();
        let second = PeerHome::open(home.path()).unwrap_err();
        assert_eq!(second.code, ErrorCode::InUse);
        drop(first);
        assert!(PeerHome::open(home.path()).is_ok());
    }

    #[test]
    fn what_is_written_replaces_and_is_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        fs::write(home.path().join("x.new"), "left by a crash").unwrap();
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
