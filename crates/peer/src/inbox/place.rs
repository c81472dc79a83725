//! Where a file that came in goes: never in the place of another.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use convite_core::path::local_file_name;
use convite_core::{ErrorCode, Problem, UserName, display};

use crate::download::{numbered, rename_new};

/// The highest number that a name gets.
const NUMBER_MAX: u32 = 10_000;
/// What stays free on the disk, at most.
const FREE_MAX: u64 = 1 << 30;

/// # Errors
/// `no_space` if `size` more bytes leave too little of the disk to its owner: 5 %, or 1 GiB.
pub(super) fn check_room(folder: &Path, size: u64) -> Result<(), Problem> {
    let Ok(disk) = fs4::statvfs(folder) else {
        return Ok(());
    };
    let keep = (disk.total_space() / 20).min(FREE_MAX);
    if disk.available_space() >= size.saturating_add(keep) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::NoSpace,
        format!("this peer's disk has no room for {}", display::bytes(size)),
    )
    .hint("ask its owner to make room"))
}

/// Where the files of an account go: a folder that is no other account's. Some systems have no dots at
/// the end of a name, so that they are written as in a URL; no name of an account holds a `%`.
pub(super) fn folder_of(inbox: &Path, user: &UserName) -> PathBuf {
    let name = user.as_str();
    let kept = name.trim_end_matches('.');
    let dots = "%2e".repeat(name.len() - kept.len());
    inbox.join(local_file_name(&format!("{kept}{dots}")))
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
    fn no_account_has_the_folder_of_another() {
        let folder = |user: &str| {
            let folder = folder_of(Path::new("/i"), &user.parse().unwrap());
            folder.to_str().unwrap().to_owned()
        };
        for (user, kept) in [
            ("ana", "/i/ana"),
            ("ana.b-c", "/i/ana.b-c"),
            ("ana.", "/i/ana%2e"),
            ("ana..", "/i/ana%2e%2e"),
            ("con", "/i/_con"),
            ("con.", "/i/con%2e"),
        ] {
            assert_eq!(folder(user), kept);
        }
    }

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
