//! Moves a complete file to its target, without replacing a different file unless requested.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_client::home::sync_folder;
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_net::task::blocking;

use crate::fs::fallbacks::{is_same_file, rename_new, sync_all};
use crate::fs::names::PARTIAL_PREFIX;
use crate::fs::positioned_io::{read_exact_at, write_all_at};

/// Bytes per read.
const BLOCK: usize = 256 << 10;

/// The target of a download.
#[derive(Debug, Clone)]
pub struct Target {
    /// The path of the file.
    pub path: PathBuf,
    /// Whether a different file at the path may be replaced.
    pub force: bool,
}

impl Target {
    /// Returns the size if the same file is in place already.
    ///
    /// # Errors
    /// Returns `file_exists` if a different file or a folder is there and may not be replaced.
    pub(crate) async fn already_there(&self, hash: &ContentHash) -> Result<Option<u64>, Problem> {
        let (target, hash) = (self.clone(), *hash);
        blocking(move || target.already_there_blocking(&hash)).await
    }

    fn already_there_blocking(&self, hash: &ContentHash) -> Result<Option<u64>, Problem> {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk_problem("read", &self.path, &error)),
        };
        if metadata.is_dir() {
            return Err(self.exists("is a folder"));
        }
        if metadata.is_file() {
            let found =
                hash_file(&self.path).map_err(|error| disk_problem("read", &self.path, &error))?;
            if found == *hash {
                return Ok(Some(metadata.len()));
            }
        }
        if self.force {
            Ok(None)
        } else {
            Err(self.exists("exists and is a different file"))
        }
    }

    fn exists(&self, how: &str) -> Problem {
        Problem::new(
            ErrorCode::FileExists,
            format!("{} {how}", self.path.display()),
        )
        .hint("choose another target with -o PATH, or replace it with --force")
    }

    /// Returns the folder of the target.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// Renames the open file `file` at `from`. Fails if the file at `from` was replaced.
    fn rename(&self, from: &Path, file: &File) -> io::Result<()> {
        if !is_same_file(file, from) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "another program removed or replaced the downloaded file",
            ));
        }
        if self.force {
            fs::rename(from, &self.path)
        } else {
            rename_new(from, &self.path)
        }
    }

    /// Copies the file at `data` to a hidden file beside the target, verifies the copy, renames it,
    /// and removes `data`.
    fn copy(&self, data: &Path, file: &File, hash: &ContentHash) -> io::Result<File> {
        let aside = self.copy_path(data);
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let moved = copy_verified(file, &aside, hash)
            .and_then(|copy| self.rename(&aside, &copy).map(|()| copy));
        if moved.is_err() {
            let _ = fs::remove_file(&aside);
        } else if let Err(error) = fs::remove_file(data) {
            tracing::warn!(%error, "cannot remove the file after copying it to its target");
        }
        moved
    }

    /// Returns the path of the temporary copy. It is the same after a kill, so that the copy is
    /// overwritten.
    pub(crate) fn copy_path(&self, data: &Path) -> PathBuf {
        let name = data.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches(PARTIAL_PREFIX);
        self.folder().join(format!("{PARTIAL_PREFIX}{name}.copy"))
    }

    /// Moves the complete, synced file with content hash `hash`, open as `file` and at `data`, to
    /// the target. Returns the file that is there afterwards: the same file or a copy.
    ///
    /// # Errors
    /// Returns `file_exists` if a different file is there, and `corrupt_contents` if another
    /// program replaced the file. Fails otherwise as the file system does.
    pub(crate) fn move_here(
        &self,
        data: &Path,
        file: &Arc<File>,
        hash: &ContentHash,
    ) -> Result<Arc<File>, Problem> {
        let moved = match self.rename(data, file) {
            // This also happens within one file system, if it is mounted twice or has quotas per
            // folder.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.copy(data, file, hash).map(Arc::new)
            }
            moved => moved.map(|()| file.clone()),
        };
        let placed = match moved {
            Ok(placed) => placed,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(self.exists("appeared during the download"));
            }
            Err(error) => return Err(disk_problem("write", &self.path, &error)),
        };
        sync_folder(self.folder()).map_err(|error| disk_problem("sync", self.folder(), &error))?;
        // On some file systems renaming changes the inode number.
        if !is_same_file(&placed, &self.path) && !self.holds(hash) {
            return Err(Problem::new(
                ErrorCode::CorruptContents,
                format!(
                    "another program replaced {} while it was moved to its target",
                    self.path.display()
                ),
            )
            .hint("stop that program, or choose another target with -o PATH"));
        }
        Ok(placed)
    }

    /// Returns whether the same file is in place.
    pub(crate) fn holds(&self, hash: &ContentHash) -> bool {
        let is_file = fs::symlink_metadata(&self.path).is_ok_and(|about| about.is_file());
        is_file && hash_file(&self.path).is_ok_and(|found| found == *hash)
    }
}

/// Copies a file, verifies that the copy has content hash `hash`, and syncs it.
fn copy_verified(from: &File, to: &Path, hash: &ContentHash) -> io::Result<File> {
    let to = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(to)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BLOCK];
    let (mut at, len) = (0, from.metadata()?.len());
    while at < len {
        let count = buffer.len().min(usize::try_from(len - at).unwrap_or(BLOCK));
        read_exact_at(from, &mut buffer[..count], at)?;
        hasher.update(&buffer[..count]);
        write_all_at(&to, &buffer[..count], at)?;
        at += count as u64;
    }
    if *hasher.finalize().as_bytes() != *hash.as_bytes() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "another program changed the downloaded file",
        ));
    }
    sync_all(&to)?;
    Ok(to)
}

fn hash_file(path: &Path) -> io::Result<ContentHash> {
    let mut file = fs::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BLOCK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes())),
            count => hasher.update(&buffer[..count]),
        };
    }
}

/// Returns the error for the user when a file operation failed.
pub(crate) fn disk_problem(doing: &str, path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(ErrorCode::NoSpace, message)
                .hint("free disk space and run the same command again; downloaded parts are kept")
        }
        io::ErrorKind::FileTooLarge => {
            Problem::new(ErrorCode::NoSpace, message).hint("choose another target with -o PATH")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Problem::new(ErrorCode::Internal, message).hint("choose another target with -o PATH")
        }
        _ => Problem::new(ErrorCode::Internal, message).hint("choose another target with -o PATH"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    #[test]
    fn file_on_another_disk_is_copied_and_replaces_nothing() {
        let here = std::env::current_exe().unwrap();
        let place = tempfile::tempdir_in(here.parent().unwrap()).unwrap();
        if !xtest::Need::SecondDisk.is_met() {
            return;
        }
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        for (name, hidden) in [("contents-1", false), (".convite-abc-1-2.part", true)] {
            let data = elsewhere.path().join(name);
            let path = place.path().join("file");
            let target = |force| Target {
                path: path.clone(),
                force,
            };
            fs::write(&data, b"new").unwrap();
            if hidden {
                // Left by a kill.
                fs::write(place.path().join(".convite-abc-1-2.part.copy"), b"ne").unwrap();
            }
            let receive = |force: bool, hash: &ContentHash| {
                let file = Arc::new(File::open(&data).unwrap());
                target(force).move_here(&data, &file, hash)
            };
            let (new, newer) = (ContentHash::of(b"new"), ContentHash::of(b"newer"));
            receive(false, &new).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert!(!data.exists(), "the source still exists");

            fs::write(&data, b"newer").unwrap();
            let refused = receive(false, &newer).unwrap_err();
            assert_eq!(refused.code, ErrorCode::FileExists);
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(
                fs::read(&data).unwrap(),
                b"newer",
                "the downloaded file is kept"
            );
            // A file that changed on the way is not put in place.
            receive(true, &new).unwrap_err();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            receive(true, &newer).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"newer");
            assert_eq!(names(place.path()), ["file"]);
            fs::remove_file(&path).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn replaced_contents_are_not_moved_to_the_target() {
        let place = tempfile::tempdir().unwrap();
        let (data, path) = (place.path().join("data"), place.path().join("file"));
        let hash = ContentHash::of(b"right");
        for force in [false, true] {
            let target = Target {
                path: path.clone(),
                force,
            };
            fs::write(&data, b"right").unwrap();
            let file = Arc::new(File::open(&data).unwrap());
            fs::write(place.path().join("other"), b"wrong").unwrap();
            fs::rename(place.path().join("other"), &data).unwrap();
            target.move_here(&data, &file, &hash).unwrap_err();
            assert!(!path.exists(), "an unverified file is in place");
        }
    }
}
