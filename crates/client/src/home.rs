//! The home folder: all state of one identity on this machine.
//!
//! ```text
//! HOME/.convite-private   keeps what is in it out of shares
//! HOME/credentials.json   which directory, who we are there, the session
//! HOME/downloads/         what is being fetched: contents and which pieces are verified
//! HOME/peer/              shares, hash cache, key and lock of the peer
//! HOME/directory/         database, authority and keys of the directory
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convite_core::path::PRIVATE_MARK;
use convite_core::{ErrorCode, Problem};

/// A home folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`, made (for its owner only) if it does not exist.
    ///
    /// # Errors
    /// `internal` if it cannot be made or is not a folder.
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

    /// Where this platform keeps an application's data: `$XDG_DATA_HOME/convite` or
    /// `~/.local/share/convite`, `~/Library/Application Support/convite`, `%LOCALAPPDATA%\convite`.
    ///
    /// # Errors
    /// `invalid_argument` if the environment names no home folder of the user.
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
            Problem::invalid("this system does not say where your files are")
                .hint("name a folder with --home DIR or $CONVITE_HOME")
        })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the credentials are kept.
    pub fn credentials(&self) -> PathBuf {
        self.root.join("credentials.json")
    }

    /// Where downloads keep their state.
    pub fn downloads(&self) -> PathBuf {
        self.root.join("downloads")
    }

    /// Where the peer keeps its state.
    pub fn peer(&self) -> PathBuf {
        self.root.join("peer")
    }

    /// Where the directory keeps its state.
    pub fn directory(&self) -> PathBuf {
        self.root.join("directory")
    }
}

/// Before anything secret is in it: who shares a folder that it lies in gives none of it away.
fn mark_private(root: &Path) -> io::Result<()> {
    let mark = root.join(PRIVATE_MARK);
    if mark.symlink_metadata().is_ok() {
        return Ok(());
    }
    fs::write(mark, "What is in this folder is never shared.\n")
}

/// Makes a folder and its parents; the folder itself for its owner only.
///
/// # Errors
/// As the file system has them.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Replaces a file at once (written aside, synced, renamed), readable by its owner only.
///
/// # Errors
/// As the file system has them; the old file is then still there.
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

/// Makes renames and removals in a folder last.
///
/// # Errors
/// As the file system has them.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows has no such thing: its renames last by themselves.
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
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
        assert_eq!(names, [PRIVATE_MARK, "credentials.json"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(home.root()), mode(&path)), (0o700, 0o600));
        }
    }
}
