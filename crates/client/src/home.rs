//! The home folder: the settings, keys and data of one identity on this machine.
//!
//! ```text
//! HOME/.convite-private   excludes this folder from shares
//! HOME/credentials.json   directory, account and session
//! HOME/downloads/         unfinished downloads: contents and verified pieces
//! HOME/peer/              shares, hash cache, key and lock of the peer
//! HOME/directory/         database, authority and keys of the directory
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convite_core::path::PRIVATE_MARKER;
use convite_core::{ErrorCode, Problem};

/// A home folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens the home at `root`. Creates it, for its owner only, if it does not exist.
    ///
    /// # Errors
    /// Returns `internal` if the folder cannot be created or is not a folder.
    pub fn open(root: PathBuf) -> Result<Self, Problem> {
        create_private_folder(&root).map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!("cannot use the home folder {}: {error}", root.display()),
            )
            .hint("choose another with --home DIR or $CONVITE_HOME")
        })?;
        let root = dunce::canonicalize(&root).unwrap_or(root);
        mark_private(&root).map_err(|error| {
            Problem::new(
                ErrorCode::Internal,
                format!(
                    "cannot write to the home folder {}: {error}",
                    root.display()
                ),
            )
            .hint("choose another with --home DIR or $CONVITE_HOME")
        })?;
        Ok(Self { root })
    }

    /// Returns this platform's default: `$XDG_DATA_HOME/convite` or `~/.local/share/convite`,
    /// `~/Library/Application Support/convite`, `%LOCALAPPDATA%\convite`.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the environment does not name the user's folder.
    pub fn default_root() -> Result<PathBuf, Problem> {
        let from = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = if cfg!(windows) {
            from("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            from("HOME").map(|home| home.join("Library/Application Support"))
        } else {
            from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")))
        };
        base.map(|base| base.join("convite")).ok_or_else(|| {
            Problem::invalid("cannot find this system's folder for application data")
                .hint("choose a folder with --home DIR or $CONVITE_HOME")
        })
    }

    /// Returns the path of the home folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the credentials file.
    pub fn credentials(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    /// Returns the folder of unfinished downloads.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Returns the folder of the peer's data.
    pub fn peer(&self) -> PathBuf {
        self.root.join("peer")
    }

    /// Returns the folder of the directory's data.
    pub fn directory(&self) -> PathBuf {
        self.root.join("directory")
    }
}

/// Writes the mark that excludes this folder from shares. Must run before the first secret is
/// written.
fn mark_private(root: &Path) -> io::Result<()> {
    let mark = root.join(PRIVATE_MARKER);
    if mark.symlink_metadata().is_ok() {
        return Ok(());
    }
    fs::write(mark, "Files in this folder are never shared.\n")
}

/// Creates a folder and its parents. The folder is accessible to its owner only.
///
/// # Errors
/// Returns the error of the file system.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        // Without this, a crash could remove the folder together with keys already synced in it.
        Ok(()) => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
            _ => Ok(()),
        },
    }
}

/// Replaces a file atomically (temporary file, sync, rename). The file is accessible to its owner
/// only.
///
/// # Errors
/// Returns the error of the file system. The old file is then unchanged.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.new", std::process::id()));
    let aside = PathBuf::from(aside);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&aside).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&aside, path)) {
        let _ = fs::remove_file(&aside);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Makes renames and removals in a folder durable.
///
/// # Errors
/// Returns the error of the file system.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows cannot sync a folder; its renames are durable.
    if !cfg!(unix) {
        return Ok(());
    }
    match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        // A folder without read permission, or a file system that cannot sync folders.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_are_replaced_whole_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path().join("a/b")).unwrap();
        let path = home.credentials();
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let there = fs::read_dir(home.root()).unwrap();
        let mut names: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        assert_eq!(names, [PRIVATE_MARKER, "credentials.json"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(home.root()), mode(&path)), (0o700, 0o600));
        }
    }
}
