//! The folder in which a peer keeps its state, which only its owner reads.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use convite_client::home::create_private_folder;
use convite_core::{ErrorCode, Problem};

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
            .hint(
                "stop it with `convite leave`, or give this one a home of its own: `--home DIR`",
            )),
            Err(TryLockError::Error(error)) => Err(disk(&path, &error)),
        }
    }

    /// Where the state called `name` is kept.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
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

    #[test]
    fn a_home_belongs_to_one_peer_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let first = PeerHome::open(home.path()).unwrap();
        let second = PeerHome::open(home.path()).unwrap_err();
        assert_eq!(second.code, ErrorCode::InUse);
        drop(first);
        assert!(PeerHome::open(home.path()).is_ok());
    }
}
