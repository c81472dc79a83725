//! Where a file goes: never over a different one unless asked to, and only whole.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use convite_core::path::local_file_name;
use convite_core::{ContentHash, ErrorCode, Problem};

use crate::scan::PARTIAL_PREFIX;

/// The longest name, in bytes.
const NAME_MAX: usize = 255;

/// Where a file is wanted.
#[derive(Debug, Clone)]
pub struct Target {
    /// The file's path.
    pub path: PathBuf,
    /// Whether a different file there may be replaced.
    pub force: bool,
}

impl Target {
    /// The size of the very file, if it is in place already.
    ///
    /// # Errors
    /// `file_exists` if something else is there and may not be replaced.
    pub(crate) async fn already_there(&self, hash: &ContentHash) -> Result<Option<u64>, Problem> {
        let (target, hash) = (self.clone(), *hash);
        on_blocking_thread(move || target.already_there_blocking(&hash)).await
    }

    fn already_there_blocking(&self, hash: &ContentHash) -> Result<Option<u64>, Problem> {
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk_problem("look at", &self.path, &error)),
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
        .hint("choose another place with -o PATH, or replace it with --force")
    }

    /// The folder that the file goes to.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn rename(&self, data: &Path) -> io::Result<()> {
        if self.force {
            fs::rename(data, &self.path)
        } else {
            rename_new(data, &self.path)
        }
    }

    /// Copies `data` to a hidden file beside the target, which is then renamed, and removes it.
    fn copy(&self, data: &Path) -> io::Result<()> {
        // What a kill leaves has the same name the next time.
        let name = data.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches(PARTIAL_PREFIX);
        let aside = self.folder().join(format!("{PARTIAL_PREFIX}{name}.copy"));
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let moved = copy_synced(data, &aside).and_then(|()| self.rename(&aside));
        if moved.is_err() {
            let _ = fs::remove_file(&aside);
        } else if let Err(error) = fs::remove_file(data) {
            tracing::warn!(%error, "cannot remove what was copied to its place");
        }
        moved
    }

    /// Moves a whole, synced file from `data` to its place.
    pub(crate) fn receive(&self, data: &Path) -> Result<(), Problem> {
        let moved = match self.rename(data) {
            // Also on one file system, if it is mounted twice or counts by folder who uses it.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => self.copy(data),
            moved => moved,
        };
        match moved {
            Ok(()) => convite_client::home::sync_folder(self.folder())
                .map_err(|error| disk_problem("sync", self.folder(), &error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(self.exists("appeared while the file was fetched"))
            }
            Err(error) => Err(disk_problem("write", &self.path, &error)),
        }
    }
}

/// Copies a file, and syncs the copy.
fn copy_synced(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = fs::File::open(from)?;
    let mut to = fs::File::create_new(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()
}

/// Renames, but not over an existing file, without a moment in between for one to appear.
#[cfg(target_os = "linux")]
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems do not know the flag; a link does the same in two steps.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => link_new(from, to),
        other => Ok(other?),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    link_new(from, to)
}

fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {
            // It is in place, whatever becomes of its other name.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::CrossesDevices
            ) =>
        {
            Err(error)
        }
        Err(_) => claim_new(from, to),
    }
}

/// Where there are no links either: takes the name with an empty file, and renames over that.
fn claim_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::File::create_new(to)?;
    fs::rename(from, to).inspect_err(|_| {
        let _ = fs::remove_file(to);
    })
}

/// `film.mkv`, then `film (1).mkv`, in a folder, for number 0 and 1; no longer than names can be.
/// The name may be a stranger's.
pub fn numbered(folder: &Path, name: &str, number: u32) -> PathBuf {
    let name = local_file_name(name);
    if number == 0 {
        return folder.join(name);
    }
    let dot = name
        .rfind('.')
        .filter(|dot| *dot > 0 && name.len() - dot <= 32);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let number = format!(" ({number})");
    let mut end = stem.len().min(NAME_MAX - extension.len() - number.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    folder.join(format!("{}{number}{extension}", &stem[..end]))
}

fn hash_file(path: &Path) -> io::Result<ContentHash> {
    let mut file = fs::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes())),
            count => hasher.update(&buffer[..count]),
        };
    }
}

/// A failure of the local disk, as a user sees it.
pub(crate) fn disk_problem(doing: &str, path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot {doing} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(ErrorCode::NoSpace, message)
                .hint("make room and run the same command again: what was fetched is kept")
        }
        io::ErrorKind::FileTooLarge => {
            Problem::new(ErrorCode::NoSpace, message).hint("choose another place with -o PATH")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Problem::new(ErrorCode::Internal, message).hint("choose another place with -o PATH")
        }
        _ => Problem::new(ErrorCode::Internal, message).hint("choose another place with -o PATH"),
    }
}

/// Runs what may block on the disk where it blocks nobody.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Problem::new(
                ErrorCode::Internal,
                format!("a disk task failed: {error}"),
            ))
        })
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
    fn a_file_that_cannot_be_renamed_to_its_place_is_copied_there_and_replaces_nothing() {
        let here = std::env::current_exe().unwrap();
        let place = tempfile::tempdir_in(here.parent().unwrap()).unwrap();
        let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
            eprintln!("*** SKIPPED: there is no second file system");
            return;
        };
        for (name, hidden) in [("contents-1", false), (".convite-abc-1-2.part", true)] {
            let data = elsewhere.path().join(name);
            let path = place.path().join("file");
            let target = |force| Target {
                path: path.clone(),
                force,
            };
            fs::write(&data, b"new").unwrap();
            if hidden {
                // A kill left it.
                fs::write(place.path().join(".convite-abc-1-2.part.copy"), b"ne").unwrap();
            }
            target(false).receive(&data).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert!(!data.exists(), "there are two of it");

            fs::write(&data, b"newer").unwrap();
            let refused = target(false).receive(&data).unwrap_err();
            assert_eq!(refused.code, ErrorCode::FileExists);
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(
                fs::read(&data).unwrap(),
                b"newer",
                "what was fetched is kept"
            );
            target(true).receive(&data).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"newer");
            assert_eq!(names(place.path()), ["file"]);
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn without_the_flag_and_without_links_nothing_is_replaced_either() {
        for move_new in [rename_new, link_new, claim_new] {
            let place = tempfile::tempdir().unwrap();
            let (from, to) = (place.path().join("from"), place.path().join("to"));
            fs::write(&from, b"one").unwrap();
            move_new(&from, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"one");
            fs::write(&from, b"two").unwrap();
            let refused = move_new(&from, &to).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"one");
            fs::remove_file(&to).unwrap();
            fs::remove_file(&from).unwrap();
            assert!(move_new(&from, &to).is_err());
            assert_eq!(names(place.path()), [""; 0], "an empty file has the name");
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = Path::new("/d");
        for (name, number, path) in [
            ("film.mkv", 0, "/d/film.mkv"),
            ("film.mkv", 1, "/d/film (1).mkv"),
            ("README", 12, "/d/README (12)"),
        ] {
            assert_eq!(numbered(folder, name, number), Path::new(path));
        }
        assert!(numbered(folder, "../../etc/passwd", 0).starts_with("/d"));
        assert_eq!(
            numbered(folder, "../x", 1).parent(),
            Some(folder),
            "never beside the folder"
        );
    }
}
