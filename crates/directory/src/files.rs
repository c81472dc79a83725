//! Files that only their owner can read: keys, codes, certificates. Blocking; used only at start.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use convite_core::{ErrorCode, Problem};

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("cannot {what} {}: {error}", path.display()),
    )
    .hint("check that the folder exists, that you own it, and that the disk has free space")
}

/// Creates `folder` and its missing parents; on Unix only its owner can read it.
///
/// # Errors
/// Returns `internal` if it cannot be created.
pub(crate) fn create_private_folder(folder: &Path) -> Result<(), Problem> {
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(|e| failed("create", folder, &e))?;
    if let Some(parent) = folder.parent().filter(|_| is_new) {
        // Otherwise a crash can lose the folder together with the synced keys in it.
        sync_folder(parent).map_err(|e| failed("sync", parent, &e))?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
            .map_err(|e| failed("protect", folder, &e))?;
    }
    Ok(())
}

/// Syncs renames and removals in a folder.
///
/// # Errors
/// Fails if the file system fails.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Windows cannot sync folders; its renames are durable.
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Returns the contents of a file, or `None` if it does not exist.
///
/// # Errors
/// Returns `internal` if it exists but cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Problem> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// Writes a file atomically, readable only by its owner; safe against crashes.
///
/// # Errors
/// Returns `internal` if it cannot be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let write = || {
        let partial = path.with_extension("partial");
        // An existing file could have other permissions.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        // The rename is durable only after this.
        path.parent().map_or(Ok(()), sync_folder)
    };
    write().map_err(|e| failed("write", path, &e))
}
