//! Where a file goes: never over a different one unless asked to, and only whole.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use convite_core::path::local_file_name;
use convite_core::{ContentHash, ErrorCode, Problem};

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

    /// Moves a whole, synced file from `data` to its place, on the same file system.
    pub(crate) fn receive(&self, data: &Path) -> Result<(), Problem> {
        let moved = if self.force {
            fs::rename(data, &self.path)
        } else {
            rename_new(data, &self.path)
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
    fs::hard_link(from, to)?;
    fs::remove_file(from)
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
        _ => Problem::new(ErrorCode::Internal, message),
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
