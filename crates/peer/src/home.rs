//! The folder for a peer's state, readable only by its owner.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use convite_client::home::create_private_folder;
use convite_core::{ErrorCode, Problem};

/// The folder `HOME/peer`, locked by this process until this is dropped.
#[derive(Debug)]
pub struct PeerHome {
    folder: PathBuf,
    _lock: File,
}

impl PeerHome {
    /// Creates the folder if it is missing, and locks it.
    ///
    /// # Errors
    /// Returns `in_use` if another peer runs on this home, and `internal` if the folder cannot be
    /// used.
    pub fn open(home: &Path) -> Result<Self, Problem> {
        let folder = home.join("peer");
        create_private_folder(&folder).map_err(|e| disk(&folder, &e))?;
        let path = folder.join("lock");
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| disk(&path, &e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(Problem::new(
                ErrorCode::InUse,
                "a peer already runs on this home",
            )
            .hint("stop it with `convite leave`, or use another home with `--home DIR`")),
            Err(TryLockError::Error(error)) => Err(disk(&path, &error)),
        }
    }

    /// Returns whether a peer runs on this home.
    pub fn is_locked(home: &Path) -> bool {
        let lock = File::open(home.join("peer/lock"));
        let tried = lock.map(|lock| lock.try_lock());
        matches!(tried, Ok(Err(TryLockError::WouldBlock)))
    }

    /// Returns the path of the state file `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Returns the error for a file system operation that failed on `path`.
pub fn disk(path: &Path, error: &io::Error) -> Problem {
    let shown = path.to_string_lossy();
    let shown = convite_core::display::escape(&shown);
    Problem::new(ErrorCode::Internal, format!("cannot use {shown}: {error}"))
        .hint("check that the disk has free space and that you can read and write there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_locked_by_one_peer() {
        let home = tempfile::tempdir().unwrap();
        let first = PeerHome::open(home.path()).unwrap();
        let second = PeerHome::open(home.path()).unwrap_err();
        assert_eq!(second.code, ErrorCode::InUse);
        assert!(PeerHome::is_locked(home.path()));
        drop(first);
        assert!(!PeerHome::is_locked(home.path()));
        assert!(PeerHome::open(home.path()).is_ok());
    }
}
