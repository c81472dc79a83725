//! Names for received files. An existing file is never replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use convite_core::path::{local_file_name, portable_file_name};
use convite_core::{ErrorCode, Problem, UserName, display};

use crate::fs::fallbacks::rename_new;
use crate::fs::free_space::Space;
use crate::fs::names::numbered;

/// The highest number added to a name.
const NUMBER_MAX: u32 = 10_000;

/// Checks that the disk has space.
///
/// # Errors
/// Returns `no_space` if `size` more bytes would leave less than 5 % or 1 GiB free for the owner.
pub(super) fn check_disk_space(folder: &Path, size: u64) -> Result<(), Problem> {
    match Space::of(folder) {
        Some(space) => check_space(space, size),
        None => Ok(()),
    }
}

fn check_space(space: Space, size: u64) -> Result<(), Problem> {
    if space.free >= size.saturating_add(space.reserve()) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::NoSpace,
        format!(
            "this peer's disk does not have {} free",
            display::format_bytes(size)
        ),
    )
    .hint("ask its owner to free disk space"))
}

/// Returns the folder for the files of an account, unique per account. Some systems remove dots at
/// the end of a name, so they are percent-encoded; account names contain no `%`.
pub(super) fn folder_of(inbox: &Path, user: &UserName) -> PathBuf {
    let name = user.as_str();
    let kept = name.trim_end_matches('.');
    let dots = "%2e".repeat(name.len() - kept.len());
    inbox.join(portable_file_name(&format!("{kept}{dots}")))
}

/// Moves a synced file into `folder` as `name`, with the first free number if the name exists.
/// Calls `note` with the final path before the move.
///
/// A name that the file system rejects is changed by [`portable_file_name`].
pub(super) fn move_into(
    from: &Path,
    folder: &Path,
    name: &str,
    note: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    match try_name(from, folder, &local_file_name(name), &note) {
        Err(error) if refuses_name(&error) => {
            try_name(from, folder, &portable_file_name(name), &note)
        }
        placed => placed,
    }
}

/// Returns whether the file system cannot store a name: FAT returns EINVAL for `:` and other
/// characters.
fn refuses_name(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename
    )
}

fn try_name(
    from: &Path,
    folder: &Path,
    name: &str,
    note: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
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
    fn uploads_leave_the_owner_a_reserve() {
        const GIB: u64 = 1 << 30;
        for (total, free, most) in [
            (100, 50, Some(45)),
            (100, 5, Some(0)),
            (100, 4, None),
            // At most 1 GiB of a large disk.
            (1000 * GIB, 3 * GIB, Some(2 * GIB)),
        ] {
            let check = |size| check_space(Space { total, free }, size);
            if let Some(most) = most {
                assert_eq!(check(most), Ok(()), "{free} of {total}");
            }
            let refused = check(most.map_or(0, |most| most + 1)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::NoSpace, "{free} of {total}");
        }
    }

    #[test]
    fn accounts_have_separate_folders() {
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
    fn equal_names_replace_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("ana");
        for n in 1..=3 {
            let from = place.path().join("from");
            fs::write(&from, n.to_string()).unwrap();
            move_into(&from, &folder, "x.txt", |_| Ok(())).unwrap();
            assert!(!from.exists());
        }
        for (name, contents) in [("x.txt", "1"), ("x (1).txt", "2"), ("x (2).txt", "3")] {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), contents);
        }
    }
}
