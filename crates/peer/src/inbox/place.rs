//! Where a file that came in goes: never in the place of another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use convite_core::{ErrorCode, Problem, display};

use crate::download::{numbered, rename_new};

/// The highest number that a name gets.
const NUMBER_MAX: u32 = 10_000;
/// What stays free on the disk, at most.
const FREE_MAX: u64 = 1 << 30;

/// # Errors
/// `no_space` if `size` more bytes leave too little of the disk to its owner: 5 %, or 1 GiB.
pub(super) fn check_room(folder: &Path, size: u64) -> Result<(), Problem> {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return Ok(());
    };
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    let keep = (bytes(disk.f_blocks) / 20).min(FREE_MAX);
    if bytes(disk.f_bavail) >= size.saturating_add(keep) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::NoSpace,
        format!("this peer's disk has no room for {}", display::bytes(size)),
    )
    .hint("ask its owner to make room"))
}

/// Moves a synced file into `folder`, under `name` or the first number of it that is free. What it
/// is to be called is told to `note` before.
pub(super) fn put(
    from: &Path,
    folder: &Path,
    name: &str,
    note: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    for number in 0..=NUMBER_MAX {
        let to = numbered(folder, name, number);
        if to.symlink_metadata().is_ok() {
            continue;
        }
        note(&to)?;
        match rename_new(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            moved => {
                moved?;
                convite_client::home::sync_folder(folder)?;
                return Ok(to);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_with_one_name_neither_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("ana");
        for n in 1..=3 {
            let from = place.path().join("from");
            fs::write(&from, n.to_string()).unwrap();
            put(&from, &folder, "x.txt", |_| Ok(())).unwrap();
            assert!(!from.exists());
        }
        for (name, contents) in [("x.txt", "1"), ("x (1).txt", "2"), ("x (2).txt", "3")] {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), contents);
        }
    }
}
